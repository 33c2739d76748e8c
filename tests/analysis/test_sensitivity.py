import numpy as np
import pandas as pd
import pytest
from helpers.frames import CHANNELS, FEW, UNTRUSTED, curves_of, journey, journeys, shops, shuffled, windows
from helpers.grids import BASE, NAN, OTHER, grid_of
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.reporting import channel_summary, model_comparison
from ihc.analysis.sensitivity import (
    AS_IS,
    CROSSES,
    DIRECT_GIVES,
    MOVES,
    OWN,
    STABLE,
    cell_numbers,
    is_within,
    lookbacks_to_try,
    phase_credits,
    rank_stability,
    redistributed,
    redistributions_to_try,
    sensitivity,
    single_changes,
    variants_of,
)
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.journeys.build import build_journeys
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.models.heuristics import DIRECT, last_touch, linear, position_based
from ihc.models.ihc import attribute
from ihc.models.redistribution import DIRECTIONS, parse_redistribution
from ihc.models.registry import MODELS
from ihc.schemas.tables import PHASES

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
COMPARED = ("IHC", "Last touch", "Linear", "Position-based")
LINEAR = variants_of(PARAMETERS, ["Linear"])
ENTRY = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Search"]}
SEARCH_GIVES = parse_redistribution(dict.fromkeys(PHASES, ENTRY), "It")


def revenue(grid):
    """By cell, in the order of the cells, the revenue a channel."""
    return grid.pivot_table(index=cell_numbers(grid), columns="channel_name", values="ihc_revenue")


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


def test_without_orders_everything_is_0():
    found = sensitivity(ROWS.iloc[:0], COSTS, variants_of(PARAMETERS, COMPARED), [None, 7])
    assert found["orders"].tolist() == [0] * 24
    assert found["ihc_revenue"].tolist() == [0.0] * 24


def test_a_model_or_a_lookback_that_is_no_use_is_refused():
    with pytest.raises(InputError, match="Credits of Half must have a row for each row of journeys"):
        sensitivity(ROWS, COSTS, {"Half": lambda rows, _: LINEAR["Linear"](rows, None).iloc[1:]}, [None])
    with pytest.raises(InputError, match="A lookback is 0 days"):
        sensitivity(ROWS, COSTS, LINEAR, [None, 0])
    for nothing in (({}, [None], {AS_IS: None}), (LINEAR, [], {AS_IS: None}), (LINEAR, [None], {})):
        with pytest.raises(InputError, match="at least one model, one lookback and one redistribution"):
            sensitivity(ROWS, COSTS, *nothing)
    with pytest.raises(InputError, match="Costs lacks the column 'cost'"):
        sensitivity(ROWS, COSTS[["channel_name"]], LINEAR, [None])
    with pytest.raises(InputError, match="Journeys lacks the column 'revenue'"):
        sensitivity(ROWS.drop(columns="revenue"), COSTS, LINEAR, [None])


@FEW
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


@FEW
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
    grid = sensitivity(ROWS, COSTS, LINEAR, [None])
    for frame in (grid, rank_stability(grid), single_changes(grid)):
        assert not [column for column in frame if column not in {*GLOSSARY, *HEADINGS}]


def test_any_name_is_only_a_name():
    rows = pd.concat([journey((0, name, 1, 1), conv_id=f"k{n}", prefix=f"{n}s") for n, name in enumerate(UNTRUSTED)])
    costs = pd.DataFrame({"channel_name": pd.array(UNTRUSTED, dtype="str"), "cost": 50.0})
    grid = sensitivity(rows, costs, variants_of(PARAMETERS, COMPARED), [None, 30, 7])
    assert rank_stability(grid)["channel_name"].tolist() == UNTRUSTED
    assert rank_stability(grid)["ROAS"].tolist() == [2.0] * len(UNTRUSTED)


EARLIER, LATER, ANY = DIRECTIONS
THREE_SESSIONS = journey((0, "Search", 1, 1), (1, "Direct", 1, 1), (2, "Mail", 1, 1))


def rules(channels=("Direct",), direction=ANY, threshold=0.0, **changes):
    entry = {"direction": direction, "receive_threshold": threshold, "redistribution_channel_labels": list(channels)}
    return parse_redistribution({phase: entry | changes.get(phase, {}) for phase in PHASES}, "It")


def given_away(model, redistribution, rows=THREE_SESSIONS):
    return redistributed(model(rows), rows, redistribution)["ihc"].tolist()


@pytest.mark.parametrize(
    ("model", "redistribution", "shares"),
    [
        # A third each; Direct's third goes to the others in proportion, a sixth each.
        (linear, rules(), [1 / 2, 0, 1 / 2]),
        (linear, rules(direction=EARLIER), [2 / 3, 0, 1 / 3]),
        (linear, rules(direction=LATER), [1 / 3, 0, 2 / 3]),
        # 0.4, 0.2, 0.4 stays even.
        (position_based, rules(), [0.5, 0, 0.5]),
        # The only receiver, at the end, may not be above the threshold.
        (linear, rules(threshold=0.4), [1 / 3, 1 / 3, 1 / 3]),
        # Direct and Mail give all they have to Search.
        (linear, rules(["Direct", "Mail"]), [1, 0, 0]),
        # None but Direct has anything, or nobody is left to receive: it stays.
        (linear, rules(["Direct", "Mail", "Search"]), [1 / 3, 1 / 3, 1 / 3]),
        (last_touch, rules(["Mail"]), [0, 0, 1]),
        (linear, None, [1 / 3, 1 / 3, 1 / 3]),
        (linear, rules([]), [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_a_model_without_phases_gives_the_credit_itself_away(model, redistribution, shares):
    assert given_away(model, redistribution) == pytest.approx(shares)


def test_phases_that_disagree_are_read_in_the_most_generous_way():
    mixed = rules(direction=EARLIER, threshold=0.4, holder={"direction": LATER, "receive_threshold": 0.5})
    assert given_away(linear, mixed) == pytest.approx([1 / 2, 0, 1 / 2])


def test_a_phase_that_lists_no_channel_has_no_say():
    holder = {"direction": ANY, "receive_threshold": 0.9, "redistribution_channel_labels": []}
    assert given_away(linear, rules(direction=EARLIER, holder=holder)) == pytest.approx([2 / 3, 0, 1 / 3])


def test_the_channels_of_all_phases_give():
    mixed = rules(closer={"redistribution_channel_labels": ["Mail"]})
    assert given_away(linear, mixed) == pytest.approx([1, 0, 0])


def test_credits_of_other_rows_than_those_of_the_journeys_are_refused():
    credits = linear(THREE_SESSIONS)
    for wrong in (credits.iloc[::-1], credits.iloc[1:], credits.assign(conv_id="other")):
        with pytest.raises(InputError, match="Credits must have a row for each row of journeys, in its order"):
            redistributed(wrong, THREE_SESSIONS, rules())
    with pytest.raises(InputError, match="Credits must have a number in each row of ihc"):
        redistributed(credits.assign(ihc=float("nan")), THREE_SESSIONS, rules())
    with pytest.raises(InputError, match="Credits lacks the column 'ihc'"):
        redistributed(credits.drop(columns="ihc"), THREE_SESSIONS, rules())


@FEW
@given(journeys(), st.sets(st.sampled_from(CHANNELS)), st.sampled_from(DIRECTIONS), st.integers(0, 9))
def test_what_is_redistributed_sums_to_the_same_an_order_and_row_order_is_irrelevant(rows, channels, direction, seed):
    redistribution = rules(sorted(channels), direction)
    before = linear(rows)
    found = redistributed(before, rows, redistribution)
    assert_frame_equal(before, linear(rows))
    assert (found["ihc"] >= 0).all()
    np.testing.assert_allclose(found.groupby("conv_id")["ihc"].sum(), 1)
    again = shuffled(rows, seed)
    also = redistributed(linear(again), again, redistribution)
    keys = ["conv_id", "session_id"]
    assert_frame_equal(
        also.sort_values(keys, ignore_index=True), found.sort_values(keys, ignore_index=True), check_exact=False
    )


@FEW
@given(shops(), st.sampled_from([1 / 48, 0.5, 1, 2, 3.25, 100]))
def test_a_lookback_leaves_what_build_journeys_leaves(shop, days):
    # Sessions and orders meet at half hours, so some are exactly as old as the lookback.
    every = build_journeys(shop.sessions, shop.conversions)
    found = every[is_within(every, days)]
    wanted = build_journeys(shop.sessions, shop.conversions, lookback_days=days)
    assert_frame_equal(found.reset_index(drop=True), wanted)


def test_a_session_exactly_as_old_as_the_lookback_stays():
    rows = journey((0, "A", 1, 1), (24, "B", 1, 1))
    assert rows[is_within(rows, 1)]["channel_name"].tolist() == ["A", "B"]
    assert rows[is_within(rows, 0.999)]["channel_name"].tolist() == ["B"]
    assert rows[is_within(rows, None)]["channel_name"].tolist() == ["A", "B"]


@pytest.mark.parametrize("days", [0, -1, LONGEST_LOOKBACK + 1, float("nan")])
def test_a_lookback_out_of_range_is_refused(days):
    with pytest.raises(InputError, match="give above 0 and up to 100,000, or None"):
        is_within(THREE_SESSIONS, days)


@pytest.mark.parametrize(
    ("own", "tried"),
    [(None, [None, 30, 7]), (90, [None, 30, 7]), (30, [None, 7]), (10, [None, 7]), (7, [None]), (1, [None])],
)
def test_only_lookbacks_shorter_than_the_runs_are_tried(own, tried):
    assert lookbacks_to_try(own, [None, 30, 7, 30]) == tried


@pytest.mark.parametrize("name", [*DIRECT, "DIRECT traffic", " direct\t", "(Direct)/(None)"])
def test_direct_traffic_is_found_by_the_names_that_tools_give_it(name):
    found = redistributions_to_try(["Search", name, "Directory", name])[DIRECT_GIVES]
    assert found.channels == {name}
    assert {entry["direction"] for entry in found.entries.values()} == {ANY}


def test_direct_traffic_may_have_a_name_of_the_shops_own():
    rows = journey((0, "Mail", 1, 1), (1, "Typed in", 1, 1))
    last = variants_of(curves_of(), ["Last non-direct touch"], ["typed in"])["Last non-direct touch"]
    assert last(rows, None)["ihc"].tolist() == [1, 0]
    tried = redistributions_to_try(["Mail", "Typed in", "Direct"], direct=["typed in"])
    assert tried[DIRECT_GIVES].channels == {"Typed in"}


@pytest.mark.parametrize("names", [[], ["Search"], UNTRUSTED])
def test_a_shop_without_direct_traffic_has_nothing_to_give_away(names):
    assert redistributions_to_try(names) == {AS_IS: None}


def test_the_redistribution_of_the_run_comes_first_and_is_tried_against_none():
    assert list(redistributions_to_try(["Direct"])) == [AS_IS, DIRECT_GIVES]
    own = rules()
    assert redistributions_to_try(["Direct"], own) == {OWN: own, AS_IS: None}
    assert next(iter(redistributions_to_try([], own))) == OWN


def test_ihc_redistributes_its_phases_and_the_others_their_credit():
    parameters, redistribution = curves_of(), rules(["Mail"], EARLIER)
    variants = variants_of(parameters, COMPARED)
    assert tuple(variants) == COMPARED
    assert_frame_equal(
        variants["IHC"](THREE_SESSIONS, redistribution), attribute(THREE_SESSIONS, parameters, redistribution)
    )
    assert_frame_equal(
        variants["Linear"](THREE_SESSIONS, redistribution),
        redistributed(linear(THREE_SESSIONS), THREE_SESSIONS, redistribution),
    )
    assert_frame_equal(variants["Last touch"](THREE_SESSIONS, None), last_touch(THREE_SESSIONS))


def test_every_model_can_be_tried():
    for variant in variants_of(curves_of(), ["IHC", *MODELS]).values():
        assert variant(THREE_SESSIONS, rules())["ihc"].sum() == pytest.approx(1)


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="There is no model 'Lineal'; there are IHC, First touch, "):
        variants_of(curves_of(), ["IHC", "Lineal"])


def test_each_phase_stands_beside_the_models_and_an_order_without_it_has_nothing_in_it():
    # The second order has a single session, that initializes and closes; nothing holds.
    rows = pd.concat([THREE_SESSIONS, journey((0, "Mail", 1, 1), conv_id="k2", prefix="t", revenue=40)])
    credits = attribute(rows, curves_of())
    phases = phase_credits(credits)
    assert list(phases) == ["Initializer", "Holder", "Closer"]
    assert_frame_equal(phases["Closer"], credits[["conv_id", "session_id"]].assign(ihc=credits["closer"]))
    # Where nothing holds, and where the phases are not known, the credit of IHC stands in.
    assert phases["Holder"]["ihc"].tolist() == [*credits["holder"].iloc[:3], 1.0]
    unknown = phase_credits(credits.assign(initializer=float("nan")))
    assert unknown["Initializer"]["ihc"].tolist() == credits["ihc"].tolist()
    table = model_comparison(rows, {"IHC": credits} | phases)
    assert table[["IHC", *phases]].sum().tolist() == pytest.approx([140] * 4)


def test_phases_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="Credits lacks the columns 'initializer', 'holder', 'closer'"):
        phase_credits(linear(THREE_SESSIONS))
