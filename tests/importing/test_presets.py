"""The queries of the presets, on small made-up exports with the columns of the real ones."""

import json

import pandas as pd
import pytest
from helpers import presets
from helpers.presets import read_preset

from ihc.errors import SettingsError
from ihc.importing.mapping import load_preset
from ihc.shipped import preset_names

NAMES = preset_names()
GA4 = {"events": "ga4.jsonl"}
FLAT = {"events": "ga4_flat.csv"}
SNOWPLOW = {"events": "snowplow.csv"}
SEGMENT = {"sessions": "segment_pages.csv", "orders": "segment_orders.csv"}
MATOMO = {"sessions": "matomo.json"}
SHOPIFY = {"orders": "shopify.jsonl"}
EVENTS = {"events": "events.csv"}
PATHS = {"sessions": "paths.csv"}
FILES = {
    "ga4": GA4,
    "ga4_flat": FLAT,
    "snowplow": SNOWPLOW,
    "segment": SEGMENT,
    "matomo": MATOMO,
    "shopify": SHOPIFY,
    "events": EVENTS,
    "paths": PATHS,
}


def rows(frame, *columns):
    """The rows as tuples, sorted by the first column, with None for missing values and counts as numbers."""
    counts = {name: pd.to_numeric(frame[name]) for name in {"pages", "engaged", "duration", "impression"} & {*frame}}
    chosen = frame.assign(**counts)[list(columns)].astype(object).sort_values(columns[0], kind="stable")
    return [tuple(None if pd.isna(value) else value for value in row) for row in chosen.to_numpy()]


def sessions(name, *columns):
    return rows(read_preset(name, **FILES[name])[0], "session_id", *columns)


def orders(name, *columns):
    return rows(read_preset(name, **FILES[name])[1], "order_id", *columns)


def test_every_preset_is_tested():
    assert sorted(FILES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_query_returns_what_its_mapping_names(name):
    mapping = load_preset(name)
    for kind, frame in zip(("sessions", "orders"), read_preset(name, **FILES[name]), strict=True):
        part = mapping.part(kind)
        assert set(frame) - {"channel_name"} == {*part.columns.values(), *part.keep.values()}
    flags = [*mapping.engagement.holder, *mapping.engagement.closer]
    assert all(flag.column in mapping.sessions.columns for flag in flags)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_import_gives_the_same_ids(name):
    first, second = (read_preset(name, **FILES[name]) for _ in range(2))
    for one, two, key in zip(first, second, ("session_id", "order_id"), strict=True):
        assert sorted(one[key]) == sorted(two[key])
    assert first[0]["session_id"].is_unique


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", [{}, {"unknown": 1}])
def test_missing_columns_are_empty(name, row, tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "EXPORTS", tmp_path)
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    found = read_preset(name, **dict.fromkeys(FILES[name], "one.jsonl"))
    assert [len(frame) <= 1 for frame in found] == [True, True]


TEXTS = [
    "",
    "x",
    "infinity",
    "-infinity",
    "NaN",
    "-1",
    "1e300",
    "99999999999999999999",
    "2024-13-45 99:99:99",
    "';DROP TABLE events;--",
    "é\n",
]


@pytest.mark.parametrize("name", ["ga4_flat", "snowplow", "segment", "events"])
def test_odd_values_do_no_harm(name, tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "EXPORTS", tmp_path)
    for option, schema in load_preset(name).read.items():
        known = {"event_name": "purchase", "event": "transaction"}
        odd = [dict.fromkeys(schema.columns, text) | known for text in TEXTS]
        (tmp_path / f"{option}.jsonl").write_text("\n".join(map(json.dumps, odd)))
    found = read_preset(name, **{option: f"{option}.jsonl" for option in FILES[name]})
    assert [len(frame) <= len(TEXTS) for frame in found] == [True, True]


@pytest.mark.parametrize(
    ("name", "of_time"),
    [("ga4", ["event_timestamp"]), ("ga4_flat", ["event_timestamp"]), ("matomo", ["firstActionTimestamp"])],
)
def test_an_impossible_time_is_no_time_of_four_digit_years(name, of_time, tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "EXPORTS", tmp_path)
    param = {"key": "ga_session_id", "value": {"int_value": 7}}
    row = {"user_pseudo_id": "u", "ga_session_id": "7", "event_params": [param], "event_name": "purchase", "idVisit": 7}
    odd = [row | dict.fromkeys(of_time, number) for number in (9 * 10**18, -9 * 10**18)]
    (tmp_path / "odd.jsonl").write_text("\n".join(map(json.dumps, odd)))
    found, bought = read_preset(name, **dict.fromkeys(FILES[name], "odd.jsonl"))
    assert len(found)
    times = pd.concat([found["time"], bought["time"]]).dropna().astype("str")
    assert not times.str.fullmatch("[0-9]{4}-.*").any()


def test_ga4_takes_the_source_of_the_session_and_never_that_of_the_first_visit():
    # 1.1: the last click; then a gclid on the second event. 2.2: parameters. 3.3: the last click comes before
    # parameters. 4.4: a Google Ads campaign comes before the tags. Without user: kept; without session: left out.
    assert sessions("ga4", "user_id", "source", "medium", "campaign", "channel_name") == [
        ("1.1.1709287200", "1.1", "google", "cpc", "Brand", "Paid Search"),
        ("1.1.1709373600", "1.1", "google", "cpc", "Shoes", "Paid Search"),
        ("1709287700", None, "facebook.com", "referral", None, "Organic Social"),
        ("2.2.1709287400", "2.2", "spring-news", "email", "March", "Email"),
        ("3.3.1709287500", "3.3", "(direct)", "(none)", "(direct)", "Direct"),
        ("4.4.1709287600", "4.4", "google", "cpc", "Ads brand", "Paid Search"),
    ]


def test_ga4_counts_what_happened_in_a_session():
    found = sessions("ga4", "time", "pages", "engaged", "duration", "events", "country", "device")
    assert found[0] == (
        *("1.1.1709287200", "2024-03-01T10:00:00.123456Z", 2, 1, 125),
        *("add_to_cart, page_view, purchase, session_start", "Germany", "mobile"),
    )


def test_ga4_gives_every_purchase_and_refund():
    # T1 is sent twice, which `lines = "once"` counts once, and refunded in part; T2 has no user and is refunded in
    # full: -20, for the user of the order.
    assert orders("ga4", "user_id", "time", "revenue", "currency", "refund_of") == [
        ("2.2.1709288000123456", "2.2", "2024-03-01T10:13:20.123456Z", 5, "EUR", None),
        ("T1", "1.1", "2024-03-01T10:02:00.123456Z", 59.9, "EUR", None),
        ("T1", "1.1", "2024-03-01T10:02:05.123456Z", 59.9, "EUR", None),
        ("T2", None, "2024-03-01T10:10:10.123456Z", 20, "EUR", None),
        ("refund.T1.1709373700123456", "1.1", "2024-03-02T10:01:40.123456Z", -10, "EUR", "T1"),
        ("refund.T2.1709287900123456", "9.9", "2024-03-01T10:11:40.123456Z", -20, "EUR", "T2"),
    ]
    assert load_preset("ga4").orders.lines == "once"


def test_a_flat_ga4_table_gives_the_first_source_of_a_session():
    assert sessions("ga4_flat", "user_id", "source", "pages", "engaged", "channel_name") == [
        ("1.1.1709287200", "1.1", "google", 1, 1, "Paid Search"),
        ("1.1.1709460000", "1.1", None, 0, 0, "Direct"),
        ("1709373700", None, "news.example", 1, 0, "Referral"),  # exported as 1709373700.0
        ("2.2.1709373600", "2.2", None, 1, 0, "Direct"),  # (not set) is no source
    ]
    assert orders("ga4_flat", "user_id", "time", "revenue", "refund_of") == [
        ("T1", "1.1", "2024-03-01T10:02:00.000000Z", 59.9, None),
        ("T1", "1.1", "2024-03-01T10:02:00.000000Z", 59.9, None),
        ("refund.T1.2024-03-03T10:00:00.000000Z", "1.1", "2024-03-03T10:00:00.000000Z", -59.9, "T1"),
    ]


def test_snowplow_takes_a_campaign_before_a_referrer():
    # s1: events twice, one page view of its own and one within the site. u2 has no session id, but a number.
    assert sessions("snowplow", "user_id", "time", "pages", "source", "medium", "country", "channel_name") == [
        ("s1", "u1", "2024-03-01 10:00:00.000Z", 2, "google", "cpc", "DE", "Paid Search"),
        ("s3", "u3", "2024-03-03 09:00:00.000Z", 1, None, None, "DE", "Referral"),
        ("s4", "u3", "2024-03-04 09:00:00.000Z", 1, None, None, "DE", "Direct"),
        ("u2.3", "u2", "2024-03-02 08:00:00.000Z", 1, "Bing", "organic", "AT", "Organic Search"),
    ]


def test_snowplow_sums_the_items_of_an_order_without_a_total():
    assert orders("snowplow", "user_id", "time", "revenue", "currency") == [
        ("T1", "u1", "2024-03-01 10:06:00.000Z", 42.5, "EUR"),
        ("T2", "u2", "2024-03-02 08:10:00.000Z", 20, None),  # 7.50 * 2 + 5.00
    ]


def test_segment_begins_a_session_after_half_an_hour_and_with_another_campaign():
    # 10:00, 10:20 and 10:50 are one session, as 30 minutes are not more than 30; 11:20:01 and the tagged 11:25 begin
    # others, 11:26 has the campaign before it. 13:00+02:00 is 11:00 UTC. Links from the own site are no referrer.
    assert [
        row[1:] for row in sessions("segment", "time", "pages", "duration", "source", "referrer", "channel_name")
    ] == [
        ("2024-03-01T10:00:00.000000Z", 3, 3000, None, "https://www.google.com/", "Organic Search"),
        ("2024-03-01T11:20:01.000000Z", 1, 0, None, None, "Direct"),
        ("2024-03-01T11:25:00.000000Z", 2, 60, "klaviyo", None, "Email"),
        ("2024-03-01T11:00:00.000000Z", 1, 0, "facebook", "https://l.facebook.com/", "Paid Social"),
    ]
    assert orders("segment", "user_id", "time", "revenue", "currency") == [
        ("T1", "a1", "2024-03-01T11:30:00Z", "80.00", "EUR"),
        ("T1", "a1", "2024-03-01T11:30:02Z", "80.00", "EUR"),
        ("T2", "a2", "2024-03-01 11:10:00Z", "30.00", "EUR"),  # no revenue, so the total
    ]


def test_matomo_names_source_and_medium_by_the_type_of_the_referrer():
    assert sessions("matomo", "user_id", "time", "source", "medium", "campaign", "pages", "channel_name") == [
        ("11", "aaaa", "2024-03-01T10:00:00Z", "Google", "organic", None, 2, "Organic Search"),
        ("12", "aaaa", "2024-03-02T10:00:00Z", "(direct)", "(none)", None, 1, "Direct"),
        ("13", "bbbb", "2024-03-02T10:01:40Z", "klaviyo", "email", "March", 0, "Email"),
        ("14", "cccc", "2024-03-02T10:03:20Z", None, "campaign", "flyer", 0, "Unassigned"),
        ("15", "dddd", "2024-03-02T10:05:00Z", "Instagram", "social", None, 0, "Organic Social"),
        ("16", "dddd", "2024-03-02T10:21:40Z", "blog.example", "referral", None, 0, "Referral"),
    ]
    assert sessions("matomo", "events")[0] == ("11", "action, ecommerceAbandonedCart, ecommerceOrder")
    assert orders("matomo", "user_id", "time", "revenue", "currency") == [
        ("T1", "aaaa", "2024-03-01T10:05:00Z", "25.50", "EUR")
    ]


def test_shopify_gives_each_visit_of_a_customer_once():
    # The first visit is in both orders of customer 7. The visit of order 5 is a line of its own, as bulk operations
    # write them. Guests have no visits.
    found = [
        (row[0].partition("Customer/")[2], *row[1:]) for row in sessions("shopify", "source", "medium", "channel_name")
    ]
    assert found == [
        ("7@2024-03-01T10:00:00Z", None, None, "Organic Search"),
        ("7@2024-03-02T10:00:00Z", "klaviyo", "email", "Email"),
        ("7@2024-03-05T09:00:00Z", "google", "cpc", "Paid Search"),  # a gclid in the landing page
        ("8@2024-03-08T09:00:00Z", "(direct)", "(none)", "Direct"),
    ]


def test_shopify_takes_the_current_total_and_marks_orders_that_do_not_count():
    assert orders("shopify", "user_id", "revenue", "status") == [
        ("#1001", "gid://shopify/Customer/7", "45.00", "paid"),  # 50.00, of which 5.00 were refunded
        ("#1002", "gid://shopify/Customer/7", "20.00", "partially_refunded"),
        ("#1003", "guest@example.com", "1.00", "test"),
        ("#1004", "gid://shopify/Order/4", "9.00", "cancelled"),
        ("#1005", "gid://shopify/Customer/8", "12.00", "paid"),
    ]
    assert {"test", "cancelled"} < set(load_preset("shopify").orders.drop_status)


def test_a_row_of_the_event_table_is_a_session_and_with_a_conversion_an_order():
    assert sessions("events", "user_id", "channel_name", "impression") == [
        ("c1@2018-07-03T13:02:11Z.1", "c1", "Instagram", 1),
        ("c1@2018-07-17T19:15:07Z.1", "c1", "Online Display", 1),
        ("c1@2018-07-24T15:51:46Z.1", "c1", "Online Display", 1),
        ("c1@2018-07-29T07:40:51Z.1", "c1", "Paid Search", 0),
        ("c2@2018-07-03T09:44:57Z.1", "c2", "Instagram", 1),
        ("c2@2018-07-03T09:44:57Z.2", "c2", "Paid Search", 1),
        ("c3@2018-07-05T10:00:00Z.1", "c3", "Facebook", 0),
    ]
    assert orders("events", "user_id", "time", "revenue") == [
        ("c1@2018-07-29T07:40:51Z.1", "c1", "2018-07-29T07:40:51Z", "8.5"),
        ("c3@2018-07-05T10:00:00Z.1", "c3", "2018-07-05T10:00:00Z", "0"),
    ]


def test_a_path_becomes_one_user_per_conversion_and_per_user_without():
    # 3 + 1 users with 3 sessions, 1 with 1, 2 with 2 (the empty step is left out), 1 with none
    found = sessions("paths", "user_id", "time", "channel_name")
    assert len(found) == 4 * 3 + 1 + 2 * 2
    assert found[:3] == [
        ("path 1.1.1", "path 1.1", "2025-01-01T09:00:00Z", "Search"),
        ("path 1.1.2", "path 1.1", "2025-01-01T10:00:00Z", "Social"),
        ("path 1.1.3", "path 1.1", "2025-01-01T11:00:00Z", "Email"),
    ]


def test_the_value_of_a_path_is_split_in_cents_without_rest():
    assert orders("paths", "user_id", "time", "revenue") == [
        ("path 1.1", "path 1.1", "2025-01-01T12:00:00Z", 33.34),  # 100.00 over 3
        ("path 1.2", "path 1.2", "2025-01-01T12:00:00Z", 33.33),
        ("path 1.3", "path 1.3", "2025-01-01T12:00:00Z", 33.33),
        ("path 2.1", "path 2.1", "2025-01-01T12:00:00Z", 20),
        ("path 4.1", "path 4.1", "2025-01-01T12:00:00Z", 5),  # without sessions
    ]


def paths_of(tmp_path, monkeypatch, table):
    monkeypatch.setattr(presets, "EXPORTS", tmp_path)
    (tmp_path / "paths.csv").write_text(table)
    return read_preset("paths", **PATHS)


def test_the_column_names_of_attribution_tools_are_known(tmp_path, monkeypatch):
    table = "path,total_conversions,total_conversion_value,total_null\nA > B,1.0,7.5,1\n"
    found, bought = paths_of(tmp_path, monkeypatch, table)
    assert found["channel"].tolist() == ["A", "B"] * 2
    assert bought["revenue"].tolist() == [7.5]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("A > B,6000000,1,0", "more than 10 million sessions"),
        ("A,1e300,1,0", "more than 10 million"),
        ("A,1,1,99999999999999999999", "more than 10 million"),
        (",20000000,1,0", "more than 10 million"),
        ("A,2.5,1,0", "Row 1 has 2.5 conversions: give whole numbers"),
        ("A,-1,1,0", "Row 1 has -1 conversions"),
        ("A,infinity,1,0", "Row 1 has infinity conversions"),
        ("A,nan,1,0", "Row 1 has nan conversions"),
        ("A,many,1,0", "Row 1 has many conversions"),
        ("A,1,1,few", "Row 1 has few users without an order"),
        ("A,1,much,0", "Row 1 has the value much"),
        ("A,1,1e300,0", "Row 1 has the value 1e300"),
    ],
)
def test_absurd_paths_are_refused(row, says, tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match=says):
        paths_of(tmp_path, monkeypatch, f"path,conversions,value,null\n{row}\n")
