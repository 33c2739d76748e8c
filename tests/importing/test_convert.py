"""From raw columns to the rows of tables; every row is kept, merged or counted with the reason."""

import pandas as pd
import pytest
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import AmbiguousError, InputError, SettingsError
from ihc.importing.convert import convert_orders, convert_sessions, convert_spend
from ihc.importing.files import FILE
from ihc.importing.mapping import checked_mapping

SESSION_COLUMNS = {"session_id": "id", "user_id": "user", "time": "at", "channel": "channel"}
ORDER_COLUMNS = {"order_id": "id", "user_id": "user", "time": "at", "revenue": "total"}
SPEND_COLUMNS = {"date": "day", "channel": "channel", "campaign": "campaign", "cost": "cost"}


def frame(names, *rows, file=0):
    return pd.DataFrame(rows, columns=names.split()).assign(**{FILE: file})


def mapping(kind, columns, part=(), **more):
    return checked_mapping({kind: {"columns": columns, **dict(part)}, **more}, "The mapping")


def counts(converted):
    return list(converted.counts.itertuples(index=False, name=None))


def test_a_session_gets_day_time_channel_and_flags():
    found = convert_sessions(
        frame("id user at channel", ("s", "u", "01.03.2025 23:30", " Mail ")), mapping("sessions", SESSION_COLUMNS)
    )
    assert found.frame.to_dict("records") == [
        {
            "session_id": "s",
            "user_id": "u",
            "event_date": "2025-03-01",
            "event_time": "23:30:00",
            "channel_name": "Mail",
            "holder_engagement": 1,
            "closer_engagement": 1,
            "impression_interaction": 0,
        }
    ]
    assert counts(found) == [("read", 1), ("sessions", 1)]


def test_another_time_zone_keeps_the_local_day_beside_utc():
    rows = frame("id user at channel", ("s", "u", "2025-02-28T23:30:00Z", "Mail"))
    found = convert_sessions(rows, mapping("sessions", SESSION_COLUMNS, timezone="Europe/Berlin")).frame
    # 23:30 UTC is 00:30 on the next day in Berlin.
    assert found.loc[0, ["event_date", "event_time", "event_utc"]].tolist() == [
        *("2025-03-01", "00:30:00", "2025-02-28 23:30:00"),
    ]


def test_fractions_of_a_second_are_kept_where_there_are_any():
    rows = frame(
        "id user at channel", ("s", "u", "2025-03-01T10:00:00.25Z", "A"), ("t", "u", "2025-03-01T11:00:00Z", "A")
    )
    assert convert_sessions(rows, mapping("sessions", SESSION_COLUMNS)).frame["event_time"].tolist() == [
        *("10:00:00.250000", "11:00:00"),
    ]


def test_sessions_without_an_id_get_one_of_user_and_time():
    columns = {name: column for name, column in SESSION_COLUMNS.items() if name != "session_id"}
    rows = frame("user at channel", *[("u", "2025-03-01 10:00", "A")] * 2, ("v", "2025-03-01 10:00", "A"))
    assert convert_sessions(rows, mapping("sessions", columns)).frame["session_id"].tolist() == [
        *("u@2025-03-01T10:00:00", "u@2025-03-01T10:00:00#2", "v@2025-03-01T10:00:00"),
    ]


def test_a_session_without_a_user_stays():
    rows = frame("id user at channel", ("s", None, "2025-03-01", "A"), ("t", "(not set)", "2025-03-01", "A"))
    assert convert_sessions(rows, mapping("sessions", SESSION_COLUMNS)).frame["user_id"].tolist() == ["", ""]


def test_rows_of_one_session_become_the_earliest():
    rows = frame("id user at channel", ("s", "u", "2025-03-01 11:00", "B"), ("s", "u", "2025-03-01 10:00", "A"))
    found = convert_sessions(rows, mapping("sessions", SESSION_COLUMNS))
    assert found.frame[["event_time", "channel_name"]].to_numpy().tolist() == [["10:00:00", "A"]]
    assert counts(found) == [("read", 2), ("merged into another row of the same session", 1), ("sessions", 1)]


def test_unreadable_rows_are_counted_with_an_example_and_refused_beyond_the_limit():
    rows = frame(
        "id user at channel",
        ("s", "u", "2025-03-01", "A"),
        ("t", "u", "2025-02-30", "A"),
        (None, "u", "2025-03-01", "A"),
    )
    with pytest.raises(InputError) as error:
        convert_sessions(rows, mapping("sessions", SESSION_COLUMNS))
    assert str(error.value).startswith("--sessions: 2 rows of 3 cannot be read (1 dropped: at cannot be read: ")
    assert "2025-02-30" in str(error.value)
    assert "allow more with max_dropped in the mapping (now 1%)" in str(error.value)
    kept = convert_sessions(rows, mapping("sessions", SESSION_COLUMNS, max_dropped=0.7))
    assert [rows for _, rows in counts(kept)] == [3, 1, 1, 1]
    assert counts(kept)[2] == ("dropped: id is empty", 1)


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"--sessions has no column 'at', which the mapping names"):
        convert_sessions(frame("id user channel", ("s", "u", "A")), mapping("sessions", SESSION_COLUMNS))
    with pytest.raises(
        InputError, match=r"no column was found for time \(start of the session\) and channel, or source"
    ):
        convert_sessions(frame("id", ("s",)), mapping("sessions", {"session_id": "id", "user_id": "id"}))
    with pytest.raises(InputError, match=r"no column was found for user_id"):  # a report of counts per channel
        convert_sessions(
            frame("at channel", ("2025-03-01", "A")), mapping("sessions", {"time": "at", "channel": "channel"})
        )


def test_an_ambiguous_date_names_export_and_column():
    rows = frame("id user at channel", ("s", "u", "03/04/2025", "A"))
    with pytest.raises(AmbiguousError, match=r"^--sessions, column at: .*day_first"):
        convert_sessions(rows, mapping("sessions", SESSION_COLUMNS))
    found = convert_sessions(rows, mapping("sessions", SESSION_COLUMNS, {"day_first": True}))
    assert found.frame["event_date"].tolist() == ["2025-04-03"]


def test_channels_come_from_source_and_medium_by_the_usual_rules():
    columns = {"session_id": "id", "user_id": "id", "time": "at", "source": "source", "medium": "medium"}
    rows = frame("id at source medium", ("s", "2025-03-01", "google", "cpc"), ("t", "2025-03-01", None, None))
    found = convert_sessions(rows, mapping("sessions", columns))
    assert found.frame["channel_name"].tolist() == ["Paid Search", "Direct"]
    assert found.channels.counts["rows"].sum() == 2


def test_a_column_of_source_and_medium_is_split():
    columns = {name: column for name, column in SESSION_COLUMNS.items() if name != "channel"} | {"source": "both"}
    names, both = ["s", "t", "v"], ["google / cpc", "(direct) / (none)", "(not set)"]
    rows = pd.DataFrame({"id": names, "user": names, "at": "2025-03-01", "both": both, FILE: 0})
    found = convert_sessions(rows, mapping("sessions", columns))
    assert found.frame["channel_name"].tolist() == ["Paid Search", "Direct", "Unassigned"]
    assert found.frame["medium"].tolist()[:2] == ["cpc", "(none)"]
    assert found.notes[0] == "both: source / medium, in 2 rows"


def test_own_rules_replace_the_usual_ones():
    columns = {"session_id": "id", "user_id": "id", "time": "at", "source": "source"}
    rules = [{"channel": "Adverts", "source": "goo"}]
    rows = frame("id at source", ("s", "2025-03-01", "Google"), ("t", "2025-03-01", "x"))
    found = convert_sessions(rows, mapping("sessions", columns, channels=rules))
    assert found.frame["channel_name"].tolist() == ["Adverts", "Unassigned"]
    assert found.channels.unmatched["source"].tolist() == ["x"]


def test_engagement_comes_from_rules_over_columns():
    columns = SESSION_COLUMNS | {"pages": "pages", "events": "events"}
    rules = {
        "holder": [{"column": "pages", "at_least": 2}],
        "closer": [{"column": "events", "contains": ["add_to_cart"]}, {"column": "level", "one_of": ["High"]}],
    }
    rows = frame(
        "id user at channel pages events level",
        ("s", "u", "2025-03-01", "A", "2", "view,add_to_cart", "low"),
        ("t", "u", "2025-03-01", "A", "1", "view", "high"),
        ("v", "u", "2025-03-01", "A", None, None, None),
    )
    found = convert_sessions(rows, mapping("sessions", columns, engagement=rules)).frame
    assert found["holder_engagement"].tolist() == [1, 0, 0]
    assert found["closer_engagement"].tolist() == [1, 1, 0]


def test_lines_of_an_order_are_summed():
    rows = frame(
        "id user at total",
        ("o", "u", "2025-03-01", "10,50"),
        ("o", "u", "2025-03-01", "2"),
        ("p", "u", "2025-03-01", "1"),
    )
    found = convert_orders(rows, mapping("orders", ORDER_COLUMNS))
    assert found.frame[["conv_id", "revenue"]].to_numpy().tolist() == [["o", 12.5], ["p", 1.0]]
    assert counts(found) == [("read", 3), ("added as lines to another row of the order", 1), ("orders", 2)]


def test_a_total_on_the_first_line_alone_is_the_order():
    rows = frame("id user at total", ("o", "u", "2025-03-01", "10,50"), ("o", "u", "2025-03-01", None))
    assert convert_orders(rows, mapping("orders", ORDER_COLUMNS)).frame["revenue"].tolist() == [10.5]


def test_the_same_amount_in_all_rows_of_an_order_has_two_readings():
    rows = frame("id user at total", *[("o", "u", "2025-03-01", "20,5")] * 3, ("p", "u", "2025-03-01", "7"))
    with pytest.raises(AmbiguousError, match=r"Order o is 61\.50 if the rows are lines, or 20\.50 if they repeat"):
        convert_orders(rows, mapping("orders", ORDER_COLUMNS))
    for how, revenue in (("sum", [61.5, 7]), ("once", [20.5, 7])):
        assert (
            convert_orders(rows, mapping("orders", ORDER_COLUMNS, {"lines": how})).frame["revenue"].tolist() == revenue
        )


def test_an_order_of_a_later_file_replaces_that_of_an_earlier_one():
    rows = pd.concat(
        [
            frame("id user at total", ("o", "u", "2025-03-01", "10.5"), ("p", "u", "2025-03-01", "1.5")),
            frame("id user at total", ("o", "u", "2025-03-01", "12.5"), file=1),
        ]
    )
    found = convert_orders(rows, mapping("orders", ORDER_COLUMNS))
    assert sorted(found.frame[["conv_id", "revenue"]].to_numpy().tolist()) == [["o", 12.5], ["p", 1.5]]
    assert ("dropped: a later file has the order again", 1) in counts(found)


def test_cancelled_and_test_orders_and_other_currencies_are_left_out():
    columns = ORDER_COLUMNS | {"status": "status", "currency": "currency"}
    rows = frame(
        "id user at total status currency",
        ("o", "u", "2025-03-01", "1.5", "paid", "eur"),
        ("p", "u", "2025-03-01", "2.5", "Cancelled", "EUR"),
        ("q", "u", "2025-03-01", "4.5", "paid", "USD"),
    )
    found = convert_orders(rows, mapping("orders", columns, currency="EUR"))
    assert found.frame["conv_id"].tolist() == ["o"]
    assert [rows for _, rows in counts(found)] == [3, 1, 1, 1]
    own = mapping("orders", columns, {"drop_status": ["paid"]}, currency="EUR")
    assert convert_orders(rows, own).frame["conv_id"].tolist() == ["p"]


def test_further_lines_of_an_order_have_the_status_and_the_currency_of_the_first():
    columns = ORDER_COLUMNS | {"status": "status", "currency": "currency"}
    rows = frame(
        "id user at total status currency",
        ("o", "u", "2025-03-01", "1.5", "paid", "EUR"),
        ("o", "u", "2025-03-01", None, None, None),
        ("p", "u", "2025-03-01", "2.5", "voided", "EUR"),
        ("p", "u", "2025-03-01", None, None, None),
        ("q", "u", "2025-03-01", "4.5", "paid", "USD"),
        ("q", "u", "2025-03-01", None, None, None),
    )
    found = convert_orders(rows, mapping("orders", columns, currency="EUR"))
    assert found.frame[["conv_id", "revenue"]].to_numpy().tolist() == [["o", 1.5]]
    assert counts(found)[1:3] == [("dropped: status 'voided'", 2), ("dropped: currency other than EUR", 2)]
    assert found.notes[0] == "status: paid (4 rows) count as orders"


@pytest.mark.parametrize("status", ["wc-cancelled", "WC-Failed", "Closed lost"])
def test_statuses_as_shops_write_them(status):
    rows = frame("id user at total status", ("o", "u", "2025-03-01", "1.5", status))
    assert convert_orders(rows, mapping("orders", ORDER_COLUMNS | {"status": "status"})).frame.empty


def test_ids_that_a_spreadsheet_shortened_are_refused():
    rows = frame("id user at total", *[(name, "u", "2025-03-01", "1.5") for name in ("1.23E+11", "1.23E+11", "7E3")])
    with pytest.raises(InputError, match=r"'1\.23E\+11' was shortened by a spreadsheet"):
        convert_orders(rows, mapping("orders", ORDER_COLUMNS))


@pytest.mark.parametrize("total", [("--", None, "Total: Account", "7.5"), (None, None, None, "7.5"), (None,) * 4])
def test_rows_of_totals_and_empty_rows_are_left_out(total):
    rows = frame("day channel campaign cost", ("2025-03-01", "Ads", "a", "3"), ("2025-03-02", "Ads", "a", "4.5"), total)
    found = convert_spend(rows, mapping("spend", SPEND_COLUMNS))
    assert found.frame["cost"].tolist() == [3.0, 4.5]
    assert counts(found)[1][0] in ("dropped: row of totals", "dropped: empty row")


def test_refunds_and_kinds_of_conversion_are_kept():
    columns = ORDER_COLUMNS | {"refund_of": "of", "conversion_type": "kind"}
    rows = frame(
        "id user at total of kind",
        ("o", "u", "2025-03-01", "9.5", None, "lead"),
        ("r", "u", "2025-03-02", "9.5", "o", "lead"),
    )
    found = convert_orders(rows, mapping("orders", columns)).frame
    assert found["revenue"].tolist() == [9.5, -9.5]
    assert found["refund_of"].tolist()[1] == "o"
    assert found["conversion_type"].tolist() == ["lead", "lead"]


def test_spend_is_one_row_per_day_channel_and_campaign():
    rows = frame(
        "day channel campaign cost",
        ("01.03.2025", "Ads", "a", "1,10"),
        ("01.03.2025", "ads ", "a", "2,20"),
        ("01.03.2025", "Ads", None, "3,30"),
    )
    found = convert_spend(rows, mapping("spend", SPEND_COLUMNS))
    # 1.10 + 2.20 = 3.30
    assert found.frame.fillna("").to_numpy().tolist() == [
        ["2025-03-01", "Ads", "a", 3.3],
        ["2025-03-01", "Ads", "", 3.3],
    ]
    assert counts(found)[1] == ("added to another row of the same day, channel and campaign", 1)


def test_spend_is_written_like_the_sessions():
    rows = frame(
        "day channel campaign cost",
        ("2025-03-01", "paid  SEARCH", "spring", "1.5"),
        ("2025-03-01", "Radio", "spring", "2.5"),
    )
    sessions = pd.DataFrame({"channel_name": ["Paid Search"], "campaign": ["Spring"]})
    found = convert_spend(rows, mapping("spend", SPEND_COLUMNS), sessions).frame
    assert found[["channel_name", "campaign"]].to_numpy().tolist() == [["Paid Search", "Spring"], ["Radio", "Spring"]]


def test_spend_without_an_amount_and_negative_spend_are_left_out():
    rows = frame("day channel campaign cost", *[("2025-03-01", "Ads", "a", cost) for cost in ("1.5", None, "-2.5")])
    found = convert_spend(rows, mapping("spend", SPEND_COLUMNS))
    assert counts(found) == [
        *(("read", 3), ("dropped: no amount", 1), ("dropped: negative spend", 1), ("rows of daily spend", 1)),
    ]


def test_sessions_without_an_id_in_files_that_overlap_are_the_same():
    columns = {name: column for name, column in SESSION_COLUMNS.items() if name != "session_id"}
    rows = pd.concat([frame("user at channel", *[("u", "2025-03-01", "A")] * 2, file=number) for number in (0, 1)])
    found = convert_sessions(rows, mapping("sessions", columns)).frame
    assert found["session_id"].tolist() == ["u@2025-03-01T00:00:00", "u@2025-03-01T00:00:00#2"]


STATUS = st.sampled_from(["paid", "cancelled", "test"])
LINE = st.tuples(
    st.sampled_from("opq"), STATUS, st.integers(-500, 500).map(lambda cents: f"{cents / 100:.2f}"), st.integers(0, 1)
)


@FIXED
@given(st.lists(LINE, min_size=1, max_size=12))
def test_counts_add_up_and_no_cent_is_lost(lines):
    rows = pd.DataFrame(lines, columns=["id", "status", "total", FILE]).assign(user="u", at="2025-03-01")
    columns = ORDER_COLUMNS | {"status": "status"}
    found = convert_orders(rows, mapping("orders", columns, {"lines": "sum", "decimal": "."}))
    (_, read), *others, (_, kept) = counts(found)
    assert read - sum(rows for _, rows in others) == kept == len(found.frame)
    paid = rows[rows["status"] == "paid"]
    last = paid[paid[FILE] == paid.groupby("id")[FILE].transform("max")]
    assert found.frame["revenue"].sum() == pytest.approx(last["total"].astype(float).sum(), abs=1e-9)


def test_the_cost_of_merged_rows_of_a_session_is_told():
    rows = frame("id user at channel cost", *[("s", "u", f"2025-03-01 1{n}:00", "Ads", f"{n}.5") for n in (1, 2)])
    found = convert_sessions(rows, mapping("sessions", SESSION_COLUMNS | {"cost": "cost"}))
    assert found.frame["cost"].tolist() == [1.5]
    assert found.notes[-1] == "cost: 2.50 in the merged rows does not count"


def test_an_order_with_lines_of_several_users_is_told():
    rows = frame("id user at total", ("o", "u", "2025-03-01", "1.5"), ("o", "v", "2025-03-01", "2.5"))
    found = convert_orders(rows, mapping("orders", ORDER_COLUMNS))
    assert found.frame[["user_id", "revenue"]].to_numpy().tolist() == [["u", 4.0]]
    assert (
        found.notes[-1] == "1 order with lines of several users, such as o: each counts for the user of its first line"
    )


@pytest.mark.parametrize(("text", "number"), [("12,001", 12_001), ("12.001", 12_001), ("1.5", 1.5), ("7", 7)])
def test_impressions_have_no_decimals(text, number):
    columns = SPEND_COLUMNS | {"impressions": "seen"}
    rows = frame("day channel campaign cost seen", ("2025-03-01", "Ads", "a", "1.5", text))
    assert convert_spend(rows, mapping("spend", columns)).frame["impressions"].tolist() == [number]


def test_a_rule_of_engagement_needs_numbers_to_reach():
    rows = frame("id user at channel", ("s", "u", "2025-03-01", "Ads"))
    rules = mapping("sessions", SESSION_COLUMNS, engagement={"holder": {"column": "channel", "at_least": 2}})
    with pytest.raises(
        SettingsError, match="holder needs numbers for at_least, but 'channel' has none: 'Ads' is no amount"
    ):
        convert_sessions(rows, rules)


def test_texts_lose_nul_bytes_and_the_formula_around_an_id():
    rows = frame("id user at total", ("a\0b", '="007"', "2025-03-01", "1.5"))
    found = convert_orders(rows, mapping("orders", ORDER_COLUMNS)).frame
    assert found[["conv_id", "user_id"]].to_numpy().tolist() == [["ab", "007"]]


def test_channels_of_spend_without_sessions_are_told():
    rows = frame("day channel campaign cost", ("2025-03-01", "Ads", "a", "3"), ("2025-03-01", "Addds", "a", "4.5"))
    sessions = pd.DataFrame({"channel_name": ["Ads"]})
    found = convert_spend(rows, mapping("spend", SPEND_COLUMNS), sessions)
    assert found.notes[-1] == "channels without any session in this import: Addds (4.50)"


def test_one_order_with_different_lines_does_not_decide_for_all():
    rows = frame("id user at total", *[(f"o{n}", "u", "2025-03-01", "9") for n in range(9) for _ in "ab"])
    rows.loc[0, "total"] = "5"
    with pytest.raises(AmbiguousError, match="8 of 9 orders with several rows have the same amount in each"):
        convert_orders(rows, mapping("orders", ORDER_COLUMNS))


def test_spend_without_a_channel_is_told_how_to_add_one():
    columns = {"date": "day", "cost": "cost"}
    rows = frame("day cost", ("2025-03-01", "3"))
    with pytest.raises(InputError, match=r'set channel = "Paid Search" under \[spend\] instead'):
        convert_spend(rows, mapping("spend", columns))
    found = convert_spend(rows, mapping("spend", columns, {"channel": "Paid Search"})).frame
    assert found["channel_name"].tolist() == ["Paid Search"]


def test_the_form_of_dates_and_amounts_is_learned_where_it_is_one():
    rows = frame("id user at total", ("o", "u", "13/03/2025", "1.234,50"))
    assert convert_orders(rows, mapping("orders", ORDER_COLUMNS)).learned == {"day_first": True, "decimal": ","}
    rows = frame("id user at total", ("o", "u", "2025-03-13", "5"))
    assert convert_orders(rows, mapping("orders", ORDER_COLUMNS)).learned == {}
