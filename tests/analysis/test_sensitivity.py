import numpy as np
import pandas as pd
import pytest
from helpers.frames import FIXED, UNTRUSTED, curves_of, journey, journeys, shops, shuffled, windows
from helpers.grids import grid_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.reporting import channel_summary
from ihc.analysis.sensitivity import (
    AS_IS,
    CROSSES,
    DIRECT_GIVES,
    MOVES,
    STABLE,
    cell_numbers,
    rank_stability,
    redistributions_to_try,
    sensitivity,
    single_changes,
    variants_of,
)
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute
from ihc.models.redistribution import parse_redistribution
from ihc.schemas.tables import PHASES

NAN = float("nan")
PARAMETERS = curves_of()
# k1: Search, then two days later Direct; k2: Mail ten days before the order, then nothing within a week.
ROWS = pd.concat(
    [
        journey((0, "Search", 1, 1), (48, "Direct", 1, 1), conv_id="k1", prefix="a", revenue=100),
        journey((0, "Mail", 1, 1), conv_id="k2", prefix="b", revenue=60).assign(
            conv_timestamp=lambda rows: rows["timestamp"] + pd.Timedelta(days=10)
        ),
    ],
    ignore_index=True,
)
COSTS = pd.DataFrame({"channel_name": ["Search", "Mail", "Direct"], "cost": [50.0, 30.0, 0.5]})
LINEAR = variants_of(PARAMETERS, ["Linear"])
ENTRY = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Search"]}
SEARCH_GIVES = parse_redistribution(dict.fromkeys(PHASES, ENTRY), "It")


def revenue(grid):
    """By cell, in the order of the cells, the revenue a channel."""
    return grid.pivot_table(index=cell_numbers(grid), columns="channel_name", values="ihc_revenue")


BASE = (NAN, "IHC", AS_IS)
OTHER = (NAN, "Linear", AS_IS)


def test_a_cell_is_the_credit_under_one_setting():
    found = sensitivity(ROWS, COSTS, LINEAR, [None, 7, 1], redistributions_to_try(COSTS["channel_name"]))
    assert found["channel_name"].tolist() == ["Search", "Mail", "Direct"] * 6
    cells = found.iloc[::3]
    assert cells["lookback_days"].isna().tolist() == [True, True, False, False, False, False]
    assert cells["redistribution"].tolist() == [AS_IS, DIRECT_GIVES] * 3
    assert set(cells["model"]) == {"Linear"}
    # Any age: half of 100 each, or all of it to Search; within 7 days k2 has no session; within a day Search neither.
    table = revenue(found)[["Search", "Mail", "Direct"]].to_numpy().tolist()
    assert table == [[50, 60, 50], [100, 60, 0], [50, 0, 50], [100, 0, 0], [0, 0, 100], [0, 0, 100]]
    assert cells["orders"].tolist() == [2, 2, 1, 1, 1, 1]


def test_models_know_the_channels_and_rows_may_be_of_what_stands_in_their_place():
    rows = ROWS.assign(reported_as=ROWS["channel_name"].replace({"Search": "Paid", "Mail": "Owned", "Direct": "Owned"}))
    costs = pd.DataFrame({"channel_name": ["Paid", "Owned"], "cost": [50.0, 30.5]})
    found = sensitivity(rows, costs, LINEAR, [None], redistributions_to_try(ROWS["channel_name"]))
    # Half of 100 for Search, half of it and 60 for the others; Direct still gives its part away as itself.
    assert revenue(found)[["Paid", "Owned"]].to_numpy().tolist() == [[50, 110], [100, 60]]


def test_ratios_are_of_sums_and_ranks_are_of_channels_with_enough_of_the_cost():
    # Direct has 0.5 of 80.5: less than 1 %. Search 50 / 50, Mail 60 / 30.
    found = sensitivity(ROWS, COSTS, LINEAR, [None]).set_index("channel_name")
    assert found["ROAS"].tolist() == [1, 2, 100]
    assert found["rank"].fillna(0).tolist() == [2, 1, 0]
    assert found["ihc"].tolist() == [0.5, 1, 0.5]


def test_a_channel_without_cost_stands_last_and_has_neither_roas_nor_rank():
    found = sensitivity(ROWS, COSTS.iloc[[1]], LINEAR, [None])
    assert found["channel_name"].tolist() == ["Mail", "Direct", "Search"]
    assert found["ROAS"].isna().tolist() == found["rank"].isna().tolist() == [False, True, True]


def test_a_channel_that_costs_and_is_in_no_journey_has_roas_0():
    costs = pd.concat([COSTS, pd.DataFrame({"channel_name": ["Radio"], "cost": [20.0]})])
    found = sensitivity(ROWS, costs, LINEAR, [None]).set_index("channel_name")
    assert found.loc["Radio", ["ihc", "ihc_revenue", "ROAS", "rank"]].tolist() == [0, 0, 0, 3]


def test_channels_that_earn_alike_share_the_better_rank():
    costs = COSTS.assign(cost=[25.0, 30.0, 25.0])
    found = sensitivity(ROWS, costs, LINEAR, [None])
    assert found["rank"].tolist() == [1, 1, 1]


def test_by_default_there_are_three_lookbacks_and_no_redistribution():
    found = sensitivity(ROWS, COSTS, LINEAR)
    assert found["lookback_days"].drop_duplicates().fillna(0).tolist() == [0, 30, 7]
    assert set(found["redistribution"]) == {AS_IS}


def test_without_orders_everything_is_0():
    found = sensitivity(ROWS.iloc[:0], COSTS, variants_of(PARAMETERS), [None, 7])
    assert found["orders"].tolist() == [0] * 24
    assert found["ihc_revenue"].tolist() == [0.0] * 24


def test_a_model_or_a_lookback_that_is_no_use_is_refused():
    with pytest.raises(InputError, match="Credits of Half must have a row for each row of journeys"):
        sensitivity(ROWS, COSTS, {"Half": lambda rows, _: LINEAR["Linear"](rows, None).iloc[1:]})
    with pytest.raises(InputError, match="A lookback is 0 days"):
        sensitivity(ROWS, COSTS, LINEAR, [None, 0])
    for nothing in (({}, [None], {AS_IS: None}), (LINEAR, [], {AS_IS: None}), (LINEAR, [None], {})):
        with pytest.raises(InputError, match="at least one model, one lookback and one redistribution"):
            sensitivity(ROWS, COSTS, *nothing)
    with pytest.raises(InputError, match="Costs lacks the column 'cost'"):
        sensitivity(ROWS, COSTS[["channel_name"]], LINEAR)
    with pytest.raises(InputError, match="Journeys lacks the column 'revenue'"):
        sensitivity(ROWS.drop(columns="revenue"), COSTS, LINEAR)


@FIXED
@given(shops(), windows())
def test_the_cell_of_the_runs_settings_is_its_summary(shop, days):
    window = dict(zip(("start_date", "end_date"), days, strict=True))
    rows = build_journeys(shop.sessions, shop.conversions)
    summary = channel_summary(*shop, attribute(rows, PARAMETERS), **window).iloc[:-1]
    found = sensitivity(rows, summary, variants_of(PARAMETERS, ["IHC"]), [None], window=window)
    here = found.iloc[: len(summary)]
    columns = ["channel_name", "cost", "ihc", "ihc_revenue", "ROAS"]
    assert_frame_equal(here[columns], summary[columns], atol=1e-9)
    # A channel without a session on these days has earned nothing on them.
    assert not found.iloc[len(summary) :]["ihc"].any()


@FIXED
@given(journeys(), st.integers(0, 9))
def test_no_revenue_is_lost_but_that_of_orders_without_a_session_and_row_order_is_irrelevant(rows, seed):
    costs = pd.DataFrame({"channel_name": ["Search", "Social"], "cost": [10.0, 20.0]})
    before = rows.copy(deep=True)
    models = variants_of(PARAMETERS, ["IHC", "Linear"])
    rules = {AS_IS: None, "Search gives": SEARCH_GIVES}
    found = sensitivity(rows, costs, models, [None, 2], rules)
    assert_frame_equal(rows, before)
    # Every journey ends with a session at the time of its order, so no lookback takes it away.
    orders = rows.drop_duplicates("conv_id")
    sums = found.groupby(cell_numbers(found))[["ihc", "ihc_revenue"]].sum()
    assert len(sums) == 8
    count = (orders["revenue"] >= 0).sum()  # the others are refunds
    np.testing.assert_allclose(sums["ihc"], count)
    np.testing.assert_allclose(sums["ihc_revenue"], orders["revenue"].sum(), atol=1e-6)
    assert (found["orders"] == count).all()
    again = sensitivity(shuffled(rows, seed), costs, models, [None, 2], rules)
    assert_frame_equal(again, found, atol=1e-9)


def test_a_channel_that_keeps_its_side_and_its_place_is_stable():
    grid = grid_of((BASE, {"A": 2.0, "B": 0.5}), (OTHER, {"A": 1.5, "B": 0.9}))
    found = rank_stability(grid).set_index("channel_name")
    assert found["stability"].tolist() == [STABLE, STABLE]
    assert found.loc["A"].drop("stability").tolist() == [2.0, 1.5, 2.0, 1, 1, 1, 1.0]
    assert found.loc["B"].drop("stability").tolist() == [0.5, 0.5, 0.9, 2, 2, 2, 0.0]


def test_a_channel_that_moves_by_one_place_is_stable_and_by_two_is_not():
    # A: 1 to 2, B: 2 to 1; under the last cell C goes from 3 to 1, two places.
    one = grid_of((BASE, {"A": 3.0, "B": 2.0, "C": 1.5}), (OTHER, {"A": 2.0, "B": 3.0, "C": 1.5}))
    assert set(rank_stability(one)["stability"]) == {STABLE}
    two = grid_of((BASE, {"A": 3.0, "B": 2.0, "C": 1.5}), (OTHER, {"A": 3.0, "B": 2.0, "C": 4.0}))
    assert rank_stability(two)["stability"].tolist() == [STABLE, STABLE, MOVES]


def test_a_channel_that_moves_by_one_place_up_and_down_is_stable():
    # B is 2nd in the base, 1st and 3rd elsewhere: never more than one place from the base.
    grid = grid_of(
        (BASE, {"A": 3.0, "B": 2.5, "C": 2.0}),
        (OTHER, {"A": 3.0, "B": 3.5, "C": 2.0}),
        ((7, "IHC", AS_IS), {"A": 3.0, "B": 1.5, "C": 2.0}),
    )
    found = rank_stability(grid).set_index("channel_name").loc["B"]
    assert (found["rank_best"], found["rank_worst"], found["stability"]) == (1, 3, STABLE)


def test_crossing_break_even_counts_more_than_the_rank():
    grid = grid_of((BASE, {"A": 3.0, "B": 2.0, "C": 0.9}), (OTHER, {"A": 3.0, "B": 2.0, "C": 4.0}))
    found = rank_stability(grid)
    assert found["stability"].tolist() == [STABLE, STABLE, CROSSES]
    assert found["cells_above"].tolist() == [1, 1, 0.5]


@pytest.mark.parametrize(("other", "stability"), [(1.0, STABLE), (1 - 1e-12, STABLE), (0.999, CROSSES), (0.0, CROSSES)])
def test_exactly_at_break_even_is_above_and_rounding_does_not_cross_it(other, stability):
    assert rank_stability(grid_of((BASE, {"A": 1.0}), (OTHER, {"A": other})))["stability"].tolist() == [stability]


@pytest.mark.parametrize(("roas", "stability"), [(1.0, STABLE), (2.0, CROSSES), (2.5, STABLE)])
def test_break_even_may_lie_elsewhere(roas, stability):
    grid = grid_of((BASE, {"A": 2.0}), (OTHER, {"A": 1.5}))
    assert rank_stability(grid, roas=roas)["stability"].tolist() == [stability]


def test_channels_come_by_falling_revenue_in_the_base_and_those_without_a_rank_not_at_all():
    grid = grid_of((BASE, {"A": 1.0, "B": 3.0, "C": 2.0}), (OTHER, {"A": 9.0, "B": 3.0, "C": 2.0}))
    assert rank_stability(grid)["channel_name"].tolist() == ["B", "C", "A"]
    small = grid.assign(rank=grid["rank"].where(grid["channel_name"] != "C"))
    assert rank_stability(small)["channel_name"].tolist() == ["B", "A"]
    assert rank_stability(grid.assign(rank=NAN)).empty
    assert list(rank_stability(grid.iloc[:0])) == list(rank_stability(grid))


def test_a_single_change_leaves_the_other_settings_as_in_the_base():
    grid = grid_of(
        (BASE, {"A": 2.0, "B": 0.5}),
        (OTHER, {"A": 0.9, "B": 0.5}),  # the model alone: A crosses
        ((7, "IHC", AS_IS), {"A": 2.0, "B": 0.5}),  # the lookback alone: nothing
        ((7, "Linear", "moved"), {"A": 0.5, "B": 3.0}),  # all at once: counts nowhere
        ((NAN, "IHC", "moved"), {"A": 0.4, "B": 1.0}),  # the redistribution alone: both cross
    )
    assert single_changes(grid).to_numpy().tolist() == [["model", 1, 1, 0], ["lookback", 1, 0, 0],
                                                        ["redistribution", 1, 2, 0]]  # fmt: skip


def test_a_channel_counts_once_however_many_models_move_it():
    models = [((NAN, name, AS_IS), {"A": 1.1, "B": 1.2, "C": 9.0}) for name in ("Linear", "Last touch")]
    found = single_changes(grid_of((BASE, {"A": 3.0, "B": 2.0, "C": 1.0}), *models))
    # C from 3 to 1; A from 1 to 3 as B is 2nd.
    assert found.iloc[0].tolist() == ["model", 2, 0, 2]
    assert found.iloc[1].tolist() == ["lookback", 0, 0, 0]


def test_every_column_that_is_shown_has_a_heading():
    grid = sensitivity(ROWS, COSTS, LINEAR)
    for frame in (grid, rank_stability(grid), single_changes(grid)):
        assert not [column for column in frame if column not in {*GLOSSARY, *HEADINGS}]


def test_any_name_is_only_a_name():
    rows = pd.concat([journey((0, name, 1, 1), conv_id=f"k{n}", prefix=f"{n}s") for n, name in enumerate(UNTRUSTED)])
    costs = pd.DataFrame({"channel_name": pd.array(UNTRUSTED, dtype="str"), "cost": 50.0})
    grid = sensitivity(rows, costs, variants_of(PARAMETERS))
    assert rank_stability(grid)["channel_name"].tolist() == UNTRUSTED
    assert rank_stability(grid)["ROAS"].tolist() == [2.0] * len(UNTRUSTED)
