import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, UNTRUSTED, curves_of, journey, journeys, shops, shuffled, windows
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
from ihc.models.heuristics import last_touch, linear, position_based
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
    """Revenue per channel, by cell in the order of the cells."""
    return grid.pivot_table(index=cell_numbers(grid), columns="channel_name", values="ihc_revenue")


def test_a_cell_is_the_credit_under_one_setting():
    found = sensitivity(ROWS, COSTS, LINEAR, [None, 7, 1], redistributions_to_try(COSTS["channel_name"]))
    assert found["channel_name"].tolist() == ["Search", "Mail", "Direct"] * 6
    cells = found.iloc[::3]
    assert cells["lookback_days"].isna().tolist() == [True, True, False, False, False, False]
    assert cells["redistribution"].tolist() == [AS_IS, DIRECT_GIVES] * 3
    assert set(cells["model"]) == {"Linear"}
    # No lookback window: half of 100 each, or all of it to Search; 7 days: k2 has no session; 1 day: no Search either.
    table = revenue(found)[["Search", "Mail", "Direct"]].to_numpy().tolist()
    assert table == [[50, 60, 50], [100, 60, 0], [50, 0, 50], [100, 0, 0], [0, 0, 100], [0, 0, 100]]
    assert cells["orders"].tolist() == [2, 2, 1, 1, 1, 1]


def test_models_see_channels_while_rows_can_be_another_dimension():
    rows = ROWS.assign(reported_as=ROWS["channel_name"].replace({"Search": "Paid", "Mail": "Owned", "Direct": "Owned"}))
    costs = pd.DataFrame({"channel_name": ["Paid", "Owned"], "cost": [50.0, 30.5]})
    found = sensitivity(rows, costs, LINEAR, [None], redistributions_to_try(ROWS["channel_name"]))
    # Half of 100 for Search, the other half and 60 for the others; Direct is still redistributed by its own name.
    assert revenue(found)[["Paid", "Owned"]].to_numpy().tolist() == [[50, 110], [100, 60]]


def test_ratios_are_of_sums_and_only_material_channels_are_ranked():
    # Direct has 0.5 of 80.5: less than 1 %. Search 50 / 50, Mail 60 / 30.
    grid = sensitivity(ROWS, COSTS, LINEAR, [None])
    found = grid.set_index("channel_name")
    assert found["ROAS"].tolist() == [1, 2, 100]
    assert found["rank"].fillna(0).tolist() == [2, 1, 0]
    assert found["ihc"].tolist() == [0.5, 1, 0.5]
    for frame in (grid, rank_stability(grid), single_changes(grid)):
        assert not {*frame} - {*GLOSSARY, *HEADINGS}


def test_channels_without_cost_come_last_without_journeys_have_roas_0_and_ties_share_a_rank():
    # Radio is in no journey. Mail earns 60 for 30, Direct and Search 50: nothing for Direct, 25 for Search.
    costs = pd.DataFrame({"channel_name": ["Radio", "Mail", "Search"], "cost": [20.0, 30.0, 25.0]})
    found = sensitivity(ROWS, costs, LINEAR, [None])
    assert found["channel_name"].tolist() == ["Radio", "Mail", "Search", "Direct"]
    assert found["ROAS"].fillna(-1).tolist() == [0, 2, 2, -1]
    assert found["rank"].fillna(-1).tolist() == [3, 1, 1, -1]


def test_invalid_models_and_lookback_windows_are_refused():
    with pytest.raises(InputError, match="Credits of Half must have one row per row of journeys"):
        sensitivity(ROWS, COSTS, {"Half": lambda rows, _: LINEAR["Linear"](rows, None).iloc[1:]}, [None])
    with pytest.raises(InputError, match="The lookback window is 0 days"):
        sensitivity(ROWS, COSTS, LINEAR, [None, 0])
    for nothing in (({}, [None], {AS_IS: None}), (LINEAR, [], {AS_IS: None}), (LINEAR, [None], {})):
        with pytest.raises(InputError, match="at least one model, one lookback window and one redistribution"):
            sensitivity(ROWS, COSTS, *nothing)
    with pytest.raises(InputError, match="Costs lacks the column 'cost'"):
        sensitivity(ROWS, COSTS[["channel_name"]], LINEAR, [None])
    with pytest.raises(InputError, match="Unknown model 'Lineal'; choose from IHC, First touch, "):
        variants_of(PARAMETERS, ["IHC", "Lineal"])
    with pytest.raises(InputError, match="Journeys lacks the column 'revenue'"):
        sensitivity(ROWS.drop(columns="revenue"), COSTS, LINEAR, [None])


@FEW
@given(shops(), windows(), st.sampled_from([None, 1 / 48, 0.5, 1, 3.25, 100]))
def test_the_base_cell_equals_the_summary_and_lookbacks_equal_those_of_build_journeys(shop, window, days):
    # Times are on half hours, so some sessions are exactly as old as the lookback window.
    dates = dict(zip(("start_date", "end_date"), window, strict=True))
    rows = build_journeys(shop.sessions, shop.conversions)
    shorter = build_journeys(shop.sessions, shop.conversions, lookback_days=days)
    assert_frame_equal(rows[is_within(rows, days)].reset_index(drop=True), shorter)
    summary = channel_summary(*shop, attribute(shorter, PARAMETERS), **dates).iloc[:-1]
    found = sensitivity(rows, summary, variants_of(PARAMETERS, ["IHC"]), [days], window=dates)
    columns = ["channel_name", "cost", "ihc", "ihc_revenue", "ROAS"]
    assert_frame_equal(found.iloc[: len(summary)][columns], summary[columns], atol=1e-9)
    # A channel without a session on these days has earned nothing on them.
    assert not found.iloc[len(summary) :]["ihc"].any()


@FEW
@given(journeys(), st.integers(0, 9))
def test_only_revenue_of_untracked_orders_is_lost_and_row_order_is_irrelevant(rows, seed):
    costs = pd.DataFrame({"channel_name": ["Search", "Social"], "cost": [10.0, 20.0]})
    before = rows.copy(deep=True)
    models = variants_of(PARAMETERS, ["IHC", "Linear"])
    rules = {AS_IS: None, "Search gives": SEARCH_GIVES}
    found = sensitivity(rows, costs, models, [2], rules)
    assert_frame_equal(rows, before)
    # Every journey ends with a session at the time of its order, which no lookback window excludes.
    orders = rows.drop_duplicates("conv_id")
    sums = found.groupby(cell_numbers(found))[["ihc", "ihc_revenue"]].sum()
    assert len(sums) == 4
    count = (orders["revenue"] >= 0).sum()  # the others are refunds
    np.testing.assert_allclose(sums["ihc"], count)
    np.testing.assert_allclose(sums["ihc_revenue"], orders["revenue"].sum(), atol=1e-6)
    assert (found["orders"] == count).all()
    again = sensitivity(shuffled(rows, seed), costs, models, [2], rules)
    assert_frame_equal(again, found, atol=1e-9)


@pytest.mark.parametrize(
    ("base", "others", "roas", "stability"),
    [
        ({"A": 2.0, "B": 0.5}, [{"A": 1.5, "B": 0.9}], 1.0, [STABLE, STABLE]),
        (
            {"A": 3.0, "B": 2.0, "C": 1.5},
            [{"A": 2.0, "B": 3.0, "C": 1.5}],
            1.0,
            [STABLE, STABLE, STABLE],
        ),  # by one place
        ({"A": 3.0, "B": 2.0, "C": 1.5}, [{"A": 3.0, "B": 2.0, "C": 4.0}], 1.0, [STABLE, STABLE, MOVES]),  # C by two
        # B is 2nd, 1st and 3rd, never more than one place from the base.
        (
            {"A": 3.0, "B": 2.5, "C": 2.0},
            [{"A": 3.0, "B": 3.5, "C": 2.0}, {"A": 3.0, "B": 1.5, "C": 2.0}],
            1.0,
            [STABLE, STABLE, STABLE],
        ),
        ({"A": 3.0, "B": 2.0, "C": 0.9}, [{"A": 3.0, "B": 2.0, "C": 4.0}], 1.0, [STABLE, STABLE, CROSSES]),  # and moves
        # Exactly at break-even is above it, and rounding does not cross it.
        ({"A": 1.0}, [{"A": 1.0}], 1.0, [STABLE]),
        ({"A": 1.0}, [{"A": 1 - 1e-12}], 1.0, [STABLE]),
        ({"A": 1.0}, [{"A": 0.999}], 1.0, [CROSSES]),
        ({"A": 2.0}, [{"A": 1.5}], 2.0, [CROSSES]),
        ({"A": 2.0}, [{"A": 1.5}], 2.5, [STABLE]),
    ],
)
def test_a_stable_channel_keeps_its_side_of_break_even_and_roughly_its_rank(base, others, roas, stability):
    grid = grid_of((BASE, base), *zip((OTHER, (7, "IHC", AS_IS)), others, strict=False))
    assert rank_stability(grid, roas=roas)["stability"].tolist() == stability


def test_roas_and_rank_are_given_for_the_base_and_their_extremes():
    grid = grid_of((BASE, {"A": 3.0, "B": 0.9}), (OTHER, {"A": 1.5, "B": 4.0}))
    found = rank_stability(grid).set_index("channel_name").drop(columns="stability")
    assert found.loc["A"].tolist() == [3.0, 1.5, 3.0, 1, 1, 2, 1.0]
    assert found.loc["B"].tolist() == [0.9, 0.9, 4.0, 2, 1, 2, 0.5]


def test_channels_are_sorted_by_base_revenue_and_unranked_ones_left_out():
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
    assert single_changes(grid).to_numpy().tolist() == [
        ["model", 1, 1, 0],
        ["lookback", 1, 0, 0],
        ["redistribution", 1, 2, 0],
    ]
    # Under two models: C moves from 3 to 1, and A from 1 to 3 as B is 2nd; each counts once.
    models = [((NAN, name, AS_IS), {"A": 1.1, "B": 1.2, "C": 9.0}) for name in ("Linear", "Last touch")]
    found = single_changes(grid_of((BASE, {"A": 3.0, "B": 2.0, "C": 1.0}), *models))
    assert found.iloc[0].tolist() == ["model", 2, 0, 2]


def test_special_channel_names_are_ordinary_names():
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
        # The only possible receiver, at the end, is not above the threshold.
        (linear, rules(threshold=0.4), [1 / 3, 1 / 3, 1 / 3]),
        # Direct and Mail give all their credit to Search.
        (linear, rules(["Direct", "Mail"]), [1, 0, 0]),
        # Only Direct has credit, or no receiver is left: the credit stays.
        (linear, rules(["Direct", "Mail", "Search"]), [1 / 3, 1 / 3, 1 / 3]),
        (last_touch, rules(["Mail"]), [0, 0, 1]),
        (linear, None, [1 / 3, 1 / 3, 1 / 3]),
        (linear, rules([]), [1 / 3, 1 / 3, 1 / 3]),
        # If phases disagree, the most permissive values apply; a phase without channels is ignored; the
        # channels of all phases give.
        (linear, rules(direction=EARLIER, threshold=0.4, holder={"direction": LATER, "receive_threshold": 0.5}),
         [1 / 2, 0, 1 / 2]),
        (linear, rules(direction=EARLIER, holder={"direction": ANY, "redistribution_channel_labels": []}),
         [2 / 3, 0, 1 / 3]),
        (linear, rules(closer={"redistribution_channel_labels": ["Mail"]}), [1, 0, 0]),
    ],
)  # fmt: skip
def test_a_model_without_phases_redistributes_its_credit(model, redistribution, shares):
    assert given_away(model, redistribution) == pytest.approx(shares)


def test_credits_with_other_rows_than_the_journeys_are_refused():
    credits = linear(THREE_SESSIONS)
    for wrong in (credits.iloc[::-1], credits.iloc[1:], credits.assign(conv_id="other")):
        with pytest.raises(InputError, match="Credits must have one row per row of journeys, in the same order"):
            redistributed(wrong, THREE_SESSIONS, rules())
    with pytest.raises(InputError, match="Credits must have a number in every row of ihc"):
        redistributed(credits.assign(ihc=float("nan")), THREE_SESSIONS, rules())
    with pytest.raises(InputError, match="Credits lacks the column 'ihc'"):
        redistributed(credits.drop(columns="ihc"), THREE_SESSIONS, rules())


def test_a_session_exactly_as_old_as_the_lookback_window_is_inside():
    rows = journey((0, "A", 1, 1), (24, "B", 1, 1))
    assert [rows[is_within(rows, days)]["channel_name"].tolist() for days in (None, 1, 0.999)] == [["A", "B"]] * 2 + [
        ["B"]
    ]


@pytest.mark.parametrize("days", [0, -1, LONGEST_LOOKBACK + 1, float("nan")])
def test_a_lookback_out_of_range_is_refused(days):
    with pytest.raises(InputError, match="must be above 0 and up to 100,000, or None"):
        is_within(THREE_SESSIONS, days)


@pytest.mark.parametrize(
    ("own", "tried"),
    [(None, [None, 30, 7]), (90, [None, 30, 7]), (30, [None, 7]), (10, [None, 7]), (7, [None]), (1, [None])],
)
def test_only_lookbacks_shorter_than_the_runs_are_tried(own, tried):
    assert lookbacks_to_try(own, [None, 30, 7, 30]) == tried


@pytest.mark.parametrize("name", ["Direct", " direct\t", "(Direct)/(None)"])
def test_direct_traffic_is_redistributed_if_there_is_any(name):
    found = redistributions_to_try(["Search", name, "Directory", name])[DIRECT_GIVES]
    assert found.channels == {name}
    assert {entry["direction"] for entry in found.entries.values()} == {ANY}
    assert redistributions_to_try(["Search", *UNTRUSTED]) == {AS_IS: None}


def test_direct_traffic_can_have_a_custom_name():
    rows = journey((0, "Mail", 1, 1), (1, "Typed in", 1, 1))
    last = variants_of(curves_of(), ["Last non-direct touch"], ["typed in"])["Last non-direct touch"]
    assert last(rows, None)["ihc"].tolist() == [1, 0]
    tried = redistributions_to_try(["Mail", "Typed in", "Direct"], direct=["typed in"])
    assert tried[DIRECT_GIVES].channels == {"Typed in"}


def test_the_runs_own_redistribution_comes_first_and_is_compared_with_none():
    assert list(redistributions_to_try(["Direct"])) == [AS_IS, DIRECT_GIVES]
    own = rules()
    assert redistributions_to_try(["Direct"], own) == {OWN: own, AS_IS: None}
    assert next(iter(redistributions_to_try([], own))) == OWN


def test_ihc_redistributes_phases_and_other_models_credit():
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
    for variant in variants_of(parameters, ["IHC", *MODELS]).values():
        assert variant(THREE_SESSIONS, redistribution)["ihc"].sum() == pytest.approx(1)


def test_each_phase_is_a_model_and_orders_without_it_use_their_ihc_credit():
    # The second order has a single session, which initializes and closes; there is no holder.
    rows = pd.concat([THREE_SESSIONS, journey((0, "Mail", 1, 1), conv_id="k2", prefix="t", revenue=40)])
    credits = attribute(rows, curves_of())
    phases = phase_credits(credits)
    assert list(phases) == ["Initializer", "Holder", "Closer"]
    assert_frame_equal(phases["Closer"], credits[["conv_id", "session_id"]].assign(ihc=credits["closer"]))
    # Without a holder, and with unknown phases, the IHC credit is used.
    assert phases["Holder"]["ihc"].tolist() == [*credits["holder"].iloc[:3], 1.0]
    unknown = phase_credits(credits.assign(initializer=float("nan")))
    assert unknown["Initializer"]["ihc"].tolist() == credits["ihc"].tolist()
    table = model_comparison(rows, {"IHC": credits} | phases)
    assert table[["IHC", *phases]].sum().tolist() == pytest.approx([140] * 4)
    with pytest.raises(InputError, match="Credits lacks the columns 'initializer', 'holder', 'closer'"):
        phase_credits(linear(rows))
