import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from helpers.frames import (
    FEW,
    clock_change,
    conversions,
    costs,
    credits_of,
    journey,
    sessions,
    shops,
    shuffled,
    windows,
)
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from ihc.analysis.reporting import (
    channel_reporting,
    channel_summary,
    conversion_credits,
    cost_without_session,
    exported_credits,
    material,
    model_comparison,
    ratio,
    relative_to_first,
    renamed,
    session_costs,
    total_name,
    visits_of,
    with_ratios,
)
from ihc.database.database import Database
from ihc.database.inputs import read_tables
from ihc.database.results import create_tables
from ihc.errors import InputError
from ihc.journeys.build import build_journeys, unattributed
from ihc.models.heuristics import linear
from ihc.report.files import read_csv, write_csv
from ihc.schemas.tables import REPORTING, Tables, inside

# Channel names that could be mistaken for a missing value, a number, a formula, the total, a path, or each other.
ODD = (
    *("NA", "None", "null", "NaN", "(not set)", "", "Total", "1", "1.0", "=SUM(A1)"),
    *("\u00c9mail", "E\u0301mail", "Social \u2013 Paid", "A > B"),
)
VISITS = sessions(
    [
        ("a", "u", "2023-09-01 10:00:00", "Search"),
        ("b", "u", "2023-09-02 10:00:00", "Mail"),
        ("c", "u", "2023-09-02 11:00:00", "Search"),
        ("d", "v", "2023-09-02 12:00:00", "Search"),  # in no journey
        ("e", "w", "2023-09-02 13:00:00", "Social"),  # in no journey and without cost
    ]
)
ORDERS = conversions([("k", "u", "2023-09-02 10:30:00", 100.0), ("l", "u", "2023-09-02 11:30:00", 60.0)])
PRICES = costs([("a", 4.0), ("b", None), ("c", 10.0), ("d", 6.0)])
CREDITS = credits_of([("k", "a", 0.25), ("k", "b", 0.75), ("l", "a", 0.5), ("l", "c", 0.5), ("l", "b", 0.0)])
SHOP = VISITS, ORDERS, PRICES, CREDITS


def test_special_channel_names_stay_separate_from_database_to_csv(tmp_path):
    create_tables(Database(tmp_path / "shop.db"))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        for number, name in enumerate(ODD):
            own = (f"s{number}", f"u{number}", "2024-05-01", "09:00:00", name, 1, 1, 0)
            connection.execute("INSERT INTO session_sources VALUES (?, ?, ?, ?, ?, ?, ?, ?)", own)
            order = (f"c{number}", f"u{number}", "2024-05-01", "09:30:00", 10.0 * (number + 1))
            connection.execute("INSERT INTO conversions VALUES (?, ?, ?, ?, ?)", order)
            connection.execute("INSERT INTO session_costs VALUES (?, 1)", own[:1])
    tables = read_tables(tmp_path / "shop.db")
    credits = linear(build_journeys(tables.sessions, tables.conversions))
    found = read_csv(write_csv(channel_summary(*tables, credits), tmp_path / "channel_summary.csv"))
    *rows, total = zip(found["channel_name"], found["ihc_revenue"], found["cost"], strict=True)
    # 10 for the first, 140 for the last, the most revenue first: 1,050 in all.
    assert rows == [(name, 10.0 * (number + 1), 1.0) for number, name in reversed(list(enumerate(ODD)))]
    assert total == ("Total of all channels", 1_050.0, 14.0)


@pytest.mark.parametrize("name", ["Total", "TOTAL ", "to tal"])
def test_the_total_has_a_longer_name_if_a_channel_is_called_total(name):
    assert total_name(pd.Series(["Mail", name])) == "Total of all channels"
    assert total_name(pd.Series(["Mail", "Totals"])) == "Total"


def test_a_ratio_is_nan_where_the_denominator_is_0():
    found = ratio(pd.Series([6.0, 6.0, 0.0, 0.0]), pd.Series([2.0, 0.0, 0.0, 5.0]))
    assert_series_equal(found, pd.Series([3.0, np.nan, np.nan, 0.0]))


def test_cpo_and_roas_are_ratios_of_sums():
    sums = pd.DataFrame({"cost": [30.0, 0.0, 5.0], "ihc": [1.5, 2.0, 0.0], "ihc_revenue": [60.0, 8.0, 0.0]})
    found = with_ratios(sums)
    assert_series_equal(found["CPO"], pd.Series([20.0, 0.0, np.nan], name="CPO"))
    assert_series_equal(found["ROAS"], pd.Series([2.0, np.nan, 0.0], name="ROAS"))
    assert sums.columns.tolist() == ["cost", "ihc", "ihc_revenue"]


def test_a_credit_earns_its_share_of_revenue_on_the_channel_and_day_of_its_session():
    earned = conversion_credits(VISITS, ORDERS, CREDITS)
    assert earned.iloc[0].to_dict() == {
        "conv_id": "k",
        "session_id": "a",
        "visit": 0,
        "channel_name": "Search",
        "date": "2023-09-01",
        "revenue": 100.0,
        "ihc": 0.25,
        "ihc_revenue": 25.0,
    }
    assert earned["ihc_revenue"].tolist() == [25.0, 75.0, 30.0, 30.0, 0.0]


def test_a_credit_without_order_or_session_is_left_out():
    credits = credits_of([("k", "gone", 0.5), ("gone", "a", 0.5), ("k", "b", 0.5)])
    assert conversion_credits(VISITS, ORDERS, credits)["session_id"].tolist() == ["b"]


def test_renamed_changes_only_the_channel_names():
    earned = conversion_credits(VISITS, ORDERS, CREDITS)
    groups = VISITS.assign(channel_name=["One", "Two", "One", "Two", "Two"])
    there, here = renamed(visits_of(VISITS, PRICES, earned), earned, groups["channel_name"])
    expected = conversion_credits(groups, ORDERS, CREDITS)
    assert_frame_equal(here, expected)
    assert_frame_equal(there, visits_of(groups, PRICES, expected))


def test_a_session_without_a_cost_row_costs_0_and_the_index_is_kept():
    found = session_costs(VISITS.set_axis([9, 9, 8, 7, 6]), PRICES)
    assert found.tolist() == [4.0, 0.0, 10.0, 6.0, 0.0]
    assert found.index.tolist() == [9, 9, 8, 7, 6]
    assert cost_without_session(VISITS, PRICES) == 0
    assert cost_without_session(VISITS, costs([("a", 2.0), ("tv", 3.0), ("radio", 4.5), ("lost", None)])) == 7.5


def test_reporting_adds_up_cost_and_credit_by_channel_and_day_of_the_session():
    # Session a has credit of two orders (1/4 * 100 + 1/2 * 60 = 55) and its cost of 4 once.
    # Search on the 2nd: sessions c and d cost 10 + 6, and only c has credit, 1/2 * 60.
    expected = pd.DataFrame(
        [
            ("Mail", "2023-09-02", 0.0, 0.75, 75.0),
            ("Search", "2023-09-01", 4.0, 0.75, 55.0),
            ("Search", "2023-09-02", 16.0, 0.5, 30.0),
            ("Social", "2023-09-02", 0.0, 0.0, 0.0),
        ],
        columns=REPORTING,
    )
    assert_frame_equal(channel_reporting(*SHOP), expected)


def test_the_summary_has_one_row_per_channel_by_revenue_and_the_total_last():
    # k was influenced by Search and Mail, l by both too (a credit of 0 is a part in the journey).
    summary = channel_summary(*SHOP).set_index("channel_name")
    assert summary.index.tolist() == ["Search", "Mail", "Social", "Total"]
    assert summary["sessions"].tolist() == [3, 1, 1, 5]
    assert summary["influenced_conversions"].tolist() == [2, 2, 0, 2]
    assert summary["cost"].tolist() == [20, 0, 0, 20]
    assert summary["ihc"].tolist() == [1.25, 0.75, 0, 2]
    assert summary["ihc_revenue"].tolist() == [85, 75, 0, 160]
    assert summary["share_of_credit"].tolist() == [0.625, 0.375, 0, 1]
    assert summary["share_of_cost"].tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(summary["CPO"], [16, 0, np.nan, 10])
    np.testing.assert_array_equal(summary["ROAS"], [4.25, np.nan, np.nan, 8])
    assert summary[["sessions", "influenced_conversions"]].dtypes.tolist() == ["int64", "int64"]


def test_shares_are_nan_without_any_credit_or_cost():
    summary = channel_summary(VISITS, ORDERS, costs(), credits_of())
    assert summary[["share_of_credit", "share_of_cost", "CPO", "ROAS"]].isna().all(axis=None)
    assert material(summary).empty
    assert summary["sessions"].tolist() == [1, 3, 1, 5]  # Mail, Search, Social: ties are sorted by name


def test_empty_tables_give_no_rows_and_a_total_of_0():
    empty = sessions(), conversions(), costs(), credits_of()
    assert channel_reporting(*empty).columns.tolist() == list(REPORTING)
    assert channel_reporting(*empty).empty
    summary = channel_summary(*empty, start_date="2023-09-01")
    assert summary["channel_name"].tolist() == ["Total"]
    assert summary[["sessions", "influenced_conversions", "cost", "ihc", "ihc_revenue"]].iloc[0].tolist() == [0] * 5
    assert summary.columns.tolist() == channel_summary(*SHOP).columns.tolist()


@pytest.mark.parametrize(
    ("place", "column", "says"),
    [
        (0, "event_date", "Sessions lacks the column 'event_date'"),
        (1, "revenue", "Conversions lacks the column 'revenue'"),
        (2, "cost", "Costs lacks the column 'cost'"),
        (3, "ihc", "Credits lacks the column 'ihc'"),
    ],
)
def test_a_missing_column_is_refused(place, column, says):
    frames = list(SHOP)
    frames[place] = frames[place].drop(columns=column)
    for report in (channel_reporting, channel_summary):
        with pytest.raises(InputError, match=says):
            report(*frames)


def test_material_channels_have_one_percent_of_the_cost_highest_first():
    summary = pd.DataFrame(
        {
            "channel_name": ["tiny", "edge", "large", "free", "Total"],
            "cost": [0.9, 1.0, 98.1, 0.0, 100.0],
            "share_of_cost": [0.009, 0.01, 0.981, 0.0, 1.0],
        }
    )
    assert material(summary)["channel_name"].tolist() == ["large", "edge"]


def test_models_are_compared_by_revenue_per_channel():
    rows = journey((0, "Search", 1, 1), (1, "Mail", 1, 1), revenue=50.0)
    models = {
        "one": credits_of([("k", "s1", 0.4), ("k", "s2", 0.6)]),
        "two": credits_of([("k", "s1", 1.0)]),
    }
    expected = pd.DataFrame({"channel_name": ["Mail", "Search"], "one": [30.0, 20.0], "two": [0.0, 50.0]})
    assert_frame_equal(model_comparison(rows, models), expected)
    assert_frame_equal(model_comparison(rows.iloc[:0], models), expected.iloc[:0])


def test_models_are_compared_with_the_first_one():
    # 30 is 50 % more than 20; -20 is 100 % less than -10; there is no ratio to 0.
    comparison = pd.DataFrame({"channel_name": ["A", "B", "C"], "one": [20.0, -10.0, 0.0], "two": [30.0, -20.0, 5.0]})
    expected = comparison.assign(two=[0.5, -1.0, float("nan")])
    assert_frame_equal(relative_to_first(comparison), expected)
    assert_frame_equal(relative_to_first(comparison[["channel_name", "one"]]), comparison[["channel_name", "one"]])
    assert relative_to_first(comparison.iloc[:0]).empty


def test_exported_credits_have_channel_day_and_phases_in_order_of_time():
    visits = sessions([("s1", "u", "2023-09-01 10:00:00", "Mail"), ("s2", "u", "2023-09-02 10:00:00", "Search")])
    tables = Tables(visits, conversions([("k", "u", "2023-09-02 11:00:00", 80.0)]), costs())
    credits = credits_of([("k", "s2", 0.25), ("k", "s1", 0.75), ("gone", "s1", 1.0)])
    phases = pd.DataFrame({"conv_id": ["k"], "session_id": ["s1"], "initializer": [1.0], "holder": 0.5, "closer": 0.0})
    # 0.25 x 80 = 20 and 0.75 x 80 = 60; of s2 no phase is stored.
    nan = float("nan")
    expected = pd.DataFrame(
        [
            ("k", "s1", "Mail", "2023-09-01", 1.0, 0.5, 0.0, 0.75, 60.0),
            ("k", "s2", "Search", "2023-09-02", nan, nan, nan, 0.25, 20.0),
        ],
        columns=[
            *("conv_id", "session_id", "channel_name", "date"),
            *("initializer", "holder", "closer", "ihc", "ihc_revenue"),
        ],
    )
    assert_frame_equal(exported_credits(tables, credits, phases), expected, check_dtype=False)


@FEW
@given(shops(), windows(), st.integers(0, 9))
def test_totals_by_day_and_channel_equal_the_input_in_any_row_order(shop, window, seed):
    journeys = build_journeys(shop.sessions, shop.conversions)
    frames = (*shop, linear(journeys))
    before = [frame.copy(deep=True) for frame in frames]
    reporting = channel_reporting(*frames)
    known = shop.costs[shop.costs["session_id"].isin(shop.sessions["session_id"])]
    lonely = unattributed(shop.conversions, journeys)
    assert np.isclose(reporting["cost"].sum(), known["cost"].sum())
    orders, lonely_orders = (int((frame["revenue"] >= 0).sum()) for frame in (shop.conversions, lonely))
    assert np.isclose(reporting["ihc"].sum(), orders - lonely_orders)
    assert np.isclose(reporting["ihc_revenue"].sum(), shop.conversions["revenue"].sum() - lonely["revenue"].sum())
    assert not reporting.duplicated(["channel_name", "date"]).any()
    assert_frame_equal(channel_reporting(*(shuffled(frame, seed) for frame in frames)), reporting)

    rows, sums = reporting[inside(reporting["date"], *window)], ["cost", "ihc", "ihc_revenue"]
    summary = channel_summary(*frames, start_date=window[0], end_date=window[1])
    np.testing.assert_allclose(summary[sums].iloc[-1].astype("float64"), rows[sums].sum(), atol=1e-9)
    found = summary.iloc[:-1].set_index("channel_name")[sums].sort_index()
    np.testing.assert_allclose(found.astype("float64"), rows.groupby("channel_name")[sums].sum(), atol=1e-9)
    assert summary["sessions"].iloc[-1] == inside(shop.sessions["event_date"], *window).sum()
    for frame, old in zip(frames, before, strict=True):
        assert_frame_equal(frame, old)


def test_sessions_with_a_moment_in_utc_are_reported_on_their_local_day():
    visits, orders = clock_change()
    credits = linear(build_journeys(visits, orders))  # half of the order each for c and a
    reporting = channel_reporting(visits, orders, costs([]), credits)
    assert reporting["date"].unique().tolist() == ["2025-10-26"]
    assert reporting.set_index("channel_name")["ihc_revenue"].to_dict() == {"Mail": 0.0, "Search": 45.0, "Social": 45.0}
