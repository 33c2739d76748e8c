from datetime import date
from functools import partial

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, conversions, costs, credits_of, outcomes, sessions, shops, shuffled, windows
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.periods import key_figures, period_totals, previous_window, weekly_reporting, with_incomplete
from ihc.analysis.reporting import channel_reporting, channel_summary, conversion_credits, visits_of
from ihc.errors import InputError
from ihc.glossary import FORMATS, GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys
from ihc.models.heuristics import linear
from ihc.schemas.tables import Tables

SUMS = ["cost", "ihc", "ihc_revenue"]
DAILY = partial(period_totals, unit="day")


def reporting(*rows):
    """`(channel_name, date, cost, ihc, ihc_revenue)`."""
    frame = pd.DataFrame(rows, columns=["channel_name", "date", *SUMS])
    return frame.astype({"channel_name": "str", "date": "str"} | dict.fromkeys(SUMS, "float64"))


# 2023-09-04 is a Monday. The span is from Sunday the 3rd to Tuesday the 12th: weeks of 1, 7 and 2 days.
ROWS = reporting(
    ("Search", "2023-09-03", 10, 1, 50),
    ("Search", "2023-09-04", 10, 1, 50),
    ("Search", "2023-09-10", 30, 3, 30),
    ("Mail", "2023-09-05", 0, 2, 20),
    ("Mail", "2023-09-12", 0, 0, 0),
)


def test_weeks_run_from_monday_to_sunday_and_count_reported_days():
    found = weekly_reporting(ROWS)
    assert found.columns.tolist() == ["channel_name", "week", "days", *SUMS, "CPO", "ROAS"]
    assert found[["channel_name", "week", "days"]].to_numpy().tolist() == [
        ["Mail", "2023-09-04", 7],
        ["Mail", "2023-09-11", 2],
        ["Search", "2023-08-28", 1],
        ["Search", "2023-09-04", 7],
    ]
    assert found[SUMS].to_numpy().tolist() == [[0, 2, 20], [0, 0, 0], [10, 1, 50], [40, 4, 80]]
    # Search in the full week: CPO 40 / 4, ROAS 80 / 40, not the mean of 5 and 1.
    assert found[["CPO", "ROAS"]].iloc[3].tolist() == [10, 2]
    assert np.isnan(found["ROAS"].iloc[0])


def test_a_week_over_new_year_and_before_1970_is_found():
    found = weekly_reporting(reporting(("A", "2025-01-01", 1, 1, 1), ("A", "1969-12-31", 1, 1, 1)))
    assert found["week"].tolist() == ["1969-12-29", "2024-12-30"]


def test_days_are_summed_over_channels():
    rows = pd.concat([ROWS, reporting(("Mail", "2023-09-04", 5, 1, 10))])
    found = period_totals(rows, "day")
    assert found["date"].tolist() == ["2023-09-03", "2023-09-04", "2023-09-05", "2023-09-10", "2023-09-12"]
    # 2023-09-04: cost 15, 2 orders, revenue 60.
    assert found.iloc[1, 1:].tolist() == [15, 2, 60, 7.5, 4]
    assert found["CPO"].isna().tolist() == [False, False, False, False, True]


@pytest.mark.parametrize("add_up", [weekly_reporting, DAILY])
def test_no_days_give_no_rows_and_a_missing_column_is_named(add_up):
    assert add_up(ROWS.iloc[:0]).empty
    assert not {*add_up(ROWS)} - {*GLOSSARY, *HEADINGS}
    with pytest.raises(InputError, match="Reporting lacks the column 'cost'"):
        add_up(ROWS.drop(columns="cost"))


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        ("2023-09-08", "2023-09-14", ("2023-09-01", "2023-09-07")),
        ("2023-09-08", "2023-09-08", ("2023-09-07", "2023-09-07")),
        ("2024-03-01", "2024-03-31", ("2024-01-30", "2024-02-29")),
        (date(2023, 9, 8), date(2023, 9, 9), ("2023-09-06", "2023-09-07")),
        (None, "2023-09-14", None),
        ("2023-09-08", None, None),
        ("", "", None),
        ("0001-01-02", "0001-12-31", None),
    ],
)
def test_the_previous_period_is_equally_long_and_ends_the_day_before(start, end, before):
    assert previous_window(start, end) == before


# Two days before (1st and 2nd), two days of the period (3rd and 4th). The order of the 4th is half due to a session of
# the 2nd.
SHOP = Tables(
    sessions(
        [
            ("s1", "u1", "2023-09-01 08:00:00", "Search"),
            ("s2", "u2", "2023-09-02 08:00:00", "Search"),
            ("s3", "u3", "2023-09-03 08:00:00", "Search"),
            ("s4", "u2", "2023-09-04 08:00:00", "Free"),
            ("s5", "u5", "2023-09-04 08:00:00", "Search"),
        ]
    ),
    conversions(
        [
            ("k1", "u1", "2023-09-01 09:00:00", 100.0),
            ("k2", "u3", "2023-09-03 09:00:00", 60.0),
            ("k3", "u2", "2023-09-04 09:00:00", 200.0),
            ("k4", "nobody", "2023-09-04 10:00:00", 40.0),
        ]
    ),
    costs([("s1", 30.0), ("s2", 20.0), ("s3", 50.0), ("s4", 0.2), ("s5", 49.8)]),
)
CREDITS = credits_of([("k1", "s1", 1.0), ("k2", "s3", 1.0), ("k3", "s2", 0.5), ("k3", "s4", 0.5)])
ENDS = outcomes([("k1", "credited"), ("k2", "credited"), ("k3", "credited"), ("k4", "unattributed")])
WINDOW = ("2023-09-03", "2023-09-04")


def figures(tables=SHOP, credits=CREDITS, ends=ENDS, window=WINDOW):
    earned = conversion_credits(tables.sessions, tables.conversions, credits)
    visits = visits_of(tables.sessions, tables.costs, earned)
    return key_figures(visits, earned, tables, ends, start_date=window[0], end_date=window[1])


def test_key_figures_calculated_by_hand():
    found = figures().set_index("figure")
    # 3rd and 4th: 3 orders of 300; on their sessions 60 + 100 of revenue by 1.5 orders; cost 50 + 0.2 + 49.8.
    # Each channel cost something: 160 of revenue for 100 of cost.
    # 1st and 2nd: 1 order of 100; on their sessions 100 + 100 by 1.5 orders; cost 50, all of Search.
    assert found["value"].to_dict() == pytest.approx(
        {
            "Revenue": 300,
            "Orders": 3,
            "Total spend": 100,
            "Blended ROAS": 3,
            "Attributed revenue": 160,
            "Attributed orders": 1.5,
            "CPO": 100 / 1.5,
            "Attributed ROAS of paid channels": 1.6,
        }
    )
    assert found["before"].tolist() == pytest.approx([100, 1, 50, 2, 200, 1.5, 50 / 1.5, 4])
    assert found["change"].tolist() == pytest.approx([2, 2, 1, 0.5, -0.2, 0, 1, 1.6 / 4 - 1])
    assert set(found["unit"]) <= FORMATS.keys()
    assert not {"figure", *found} - {*GLOSSARY, *HEADINGS}


@pytest.mark.parametrize("window", [(None, None), ("2023-09-03", None), (None, "2023-09-04")])
def test_without_both_dates_there_is_no_previous_period(window):
    found = figures(window=window)
    assert found[["before", "change"]].isna().all(axis=None)
    assert found["value"].notna().all()
    assert "Spend without a session" not in found["figure"].tolist()


@pytest.mark.parametrize("missing", ["sessions", "conversions"])
def test_days_outside_the_tables_are_not_compared(missing):
    cut = getattr(SHOP, missing)
    cut = cut[cut.iloc[:, 2] > "2023-09-01"]
    assert figures(SHOP._replace(**{missing: cut}))["before"].isna().all()
    assert figures(SHOP._replace(**{missing: cut.iloc[:0]}))["before"].isna().all()


@pytest.mark.parametrize(
    "ends", [ENDS.iloc[1:], outcomes([("k1", "waiting")]), outcomes([("k1", "failed")]), ENDS.iloc[:1]]
)
def test_credit_figures_are_not_compared_if_an_order_of_either_period_has_not_ended(ends):
    found = figures(ends=ends).set_index("figure")["before"]
    assert found[found.isna()].index.tolist() == [
        "Attributed revenue", "Attributed orders", "CPO", "Attributed ROAS of paid channels"
    ]  # fmt: skip


def test_a_figure_that_was_zero_has_no_change():
    free = SHOP._replace(costs=costs([("s3", 50.0)]))
    found = figures(free).set_index("figure")
    assert found.loc["Total spend", ["value", "before"]].tolist() == [50, 0]
    assert np.isnan(found.loc["Total spend", "change"])
    assert np.isnan(found.loc["Blended ROAS", "before"])


def test_a_smaller_loss_is_a_positive_change():
    refunds = conversions([("k1", "u1", "2023-09-01 09:00:00", -100.0), ("k2", "u3", "2023-09-03 09:00:00", -50.0)])
    assert figures(SHOP._replace(conversions=refunds)).loc[0, "change"] == 0.5


STRAY = SHOP._replace(costs=pd.concat([SHOP.costs, costs([("tv", 100.0), ("lost", None)])], ignore_index=True))


def test_spend_without_a_session_is_in_the_total_spend_of_all_days():
    # 150 on sessions and 100 on none: 400 of revenue / 250, and 250 / 3 attributed orders. Each channel cost something:
    # 360 / 150.
    found = figures(STRAY, window=(None, None)).set_index("figure")
    assert found.loc[["Total spend", "Spend without a session"], "value"].tolist() == [250, 100]
    assert found.loc[["Blended ROAS", "CPO", "Attributed ROAS of paid channels"], "value"].tolist() == pytest.approx(
        [400 / 250, 250 / 3, 360 / 150]
    )
    assert found.loc["Spend without a session", "note"] == "in the total spend"
    assert found.loc[["Revenue", "Orders", "Attributed revenue", "Attributed orders"], "value"].tolist() == [
        400,
        4,
        360,
        3,
    ]


def test_with_dates_spend_without_a_session_is_left_out_and_noted():
    found = figures(STRAY).set_index("figure")
    assert found.loc[["Total spend", "Spend without a session", "Blended ROAS"], "value"].tolist() == [100, 100, 3]
    assert found["note"].to_dict() == {
        "Revenue": "",
        "Orders": "",
        "Total spend": "leaves out spend without a session",
        "Spend without a session": "no day, so not in the total spend of these dates",
        "Blended ROAS": "revenue / total spend",
        "Attributed revenue": "",
        "Attributed orders": "",
        "CPO": "total spend / attributed orders",
        "Attributed ROAS of paid channels": (
            "leaves out channels without cost, untracked orders and spend without a session"
        ),
    }


@pytest.mark.parametrize(("days", "said"), [([False, True], "last day"), ([True, True], "last 2 days")])
def test_figures_of_incomplete_days_have_no_change_and_a_note(days, said):
    found = with_incomplete(figures(), pd.DataFrame({"is_immature": days})).set_index("figure")
    assert found["change"].isna().tolist() == [False] * 4 + [True] * 4
    assert found.loc["Attributed revenue", "note"] == f"incomplete: {said} (200.00 in the period before)"
    assert found.loc["CPO", "note"] == (
        f"incomplete: {said} (33.33 in the period before); total spend / attributed orders"
    )
    assert found.loc["Revenue", "note"] == ""


@pytest.mark.parametrize(("window", "days"), [(WINDOW, [False, False]), ((None, None), [True, True])])
def test_complete_days_and_figures_without_comparison_are_unchanged(window, days):
    assert_frame_equal(
        with_incomplete(figures(window=window), pd.DataFrame({"is_immature": days})), figures(window=window)
    )


def test_a_refund_lowers_revenue_and_is_not_an_order():
    refund = conversions([("r", "u3", "2023-09-04 12:00:00", -20.0)])
    shop = SHOP._replace(conversions=pd.concat([SHOP.conversions, refund], ignore_index=True))
    credits = pd.concat([CREDITS, credits_of([("r", "s3", 1.0)])], ignore_index=True)
    found = figures(shop, credits).set_index("figure")
    assert found.loc[["Revenue", "Orders", "Attributed revenue", "Attributed orders"], "value"].tolist() == (
        [280, 3, 140, 1.5]
    )
    assert found.loc["Revenue", "note"] == "after refunds of 20.00"


@FEW
@given(shops(), windows(), st.integers(0, 99))
def test_sums_are_those_of_the_summary_in_any_row_order_and_the_input_is_left_alone(tables, window, seed):
    credits = linear(build_journeys(tables.sessions, tables.conversions))
    before = [frame.copy(deep=True) for frame in (*tables, credits)]
    found = figures(tables, credits, outcomes(), window).set_index("figure")["value"]
    total = channel_summary(*tables, credits, start_date=window[0], end_date=window[1]).iloc[-1]
    for name, column in (("Attributed revenue", "ihc_revenue"), ("Attributed orders", "ihc")):
        assert found[name] == pytest.approx(total[column])
    without = found.get("Spend without a session", 0.0)
    placed = tables.costs["cost"][tables.costs["session_id"].isin(tables.sessions["session_id"])].sum()
    assert without + placed == pytest.approx(tables.costs["cost"].sum())
    assert found["Total spend"] == pytest.approx(total["cost"] + (0.0 if any(window) else without))
    for frame, copy in zip((*tables, credits), before, strict=True):
        assert_frame_equal(frame, copy)

    rows = channel_reporting(*tables, credits)
    for add_up in (weekly_reporting, DAILY):
        found = add_up(rows)
        assert found[SUMS].sum().tolist() == pytest.approx(rows[SUMS].sum().tolist())
        assert_frame_equal(add_up(shuffled(rows, seed)), found)
    assert weekly_reporting(rows)["days"].between(1, 7).all()


def test_an_empty_shop_has_figures_of_zero_and_no_ratios():
    found = figures(Tables(sessions(), conversions(), costs()), credits_of(), outcomes())["value"]
    assert found.dropna().tolist() == [0, 0, 0, 0, 0]
    assert found.isna().tolist() == [False, False, False, True, False, False, True, True]
