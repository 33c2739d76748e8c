import numpy as np
import pandas as pd
import pytest
from helpers.frames import CHANNELS, FIXED, UNTRUSTED, curves_of, journey, journeys, shops, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.reporting import model_comparison
from ihc.analysis.sensitivity import (
    AS_IS,
    COMPARED,
    DIRECT_GIVES,
    OWN,
    direct_given_away,
    lookbacks_to_try,
    phase_credits,
    redistributed,
    redistributions_to_try,
    variants_of,
    within_lookback,
)
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.models.heuristics import DIRECT, last_touch, linear, position_based
from ihc.models.ihc import attribute
from ihc.models.redistribution import DIRECTIONS, parse_redistribution
from ihc.models.registry import MODELS
from ihc.schemas.tables import PHASES

EARLIER, LATER, ANY = DIRECTIONS
ROWS = journey((0, "Search", 1, 1), (1, "Direct", 1, 1), (2, "Mail", 1, 1))


def rules(channels=("Direct",), direction=ANY, threshold=0.0, **changes):
    entry = {"direction": direction, "receive_threshold": threshold, "redistribution_channel_labels": list(channels)}
    return parse_redistribution({phase: entry | changes.get(phase, {}) for phase in PHASES}, "It")


def given_away(model, redistribution, rows=ROWS):
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
    credits = linear(ROWS)
    for wrong in (credits.iloc[::-1], credits.iloc[1:], credits.assign(conv_id="other")):
        with pytest.raises(InputError, match="Credits must have a row for each row of journeys, in its order"):
            redistributed(wrong, ROWS, rules())
    with pytest.raises(InputError, match="Credits must have a number in each row of ihc"):
        redistributed(credits.assign(ihc=float("nan")), ROWS, rules())
    with pytest.raises(InputError, match="Credits lacks the column 'ihc'"):
        redistributed(credits.drop(columns="ihc"), ROWS, rules())


@FIXED
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


@FIXED
@given(shops(), st.sampled_from([1 / 48, 0.5, 1, 2, 3.25, 100]))
def test_a_lookback_leaves_what_build_journeys_leaves(shop, days):
    # Sessions and orders meet at half hours, so some are exactly as old as the lookback.
    found = within_lookback(build_journeys(shop.sessions, shop.conversions), days)
    wanted = build_journeys(shop.sessions, shop.conversions, lookback_days=days)
    assert_frame_equal(found.reset_index(drop=True), wanted)


def test_a_session_exactly_as_old_as_the_lookback_stays():
    rows = journey((0, "A", 1, 1), (24, "B", 1, 1))
    assert within_lookback(rows, 1)["channel_name"].tolist() == ["A", "B"]
    assert within_lookback(rows, 0.999)["channel_name"].tolist() == ["B"]
    assert within_lookback(rows, None)["channel_name"].tolist() == ["A", "B"]


@pytest.mark.parametrize("days", [0, -1, LONGEST_LOOKBACK + 1, float("nan")])
def test_a_lookback_out_of_range_is_refused(days):
    with pytest.raises(InputError, match="give above 0 and up to 100,000, or None"):
        within_lookback(ROWS, days)


@pytest.mark.parametrize(
    ("own", "tried"),
    [(None, [None, 30, 7]), (90, [None, 30, 7]), (30, [None, 7]), (10, [None, 7]), (7, [None]), (1, [None])],
)
def test_only_lookbacks_shorter_than_the_runs_are_tried(own, tried):
    assert lookbacks_to_try(own) == tried


def test_other_lookbacks_can_be_tried_each_once():
    assert lookbacks_to_try(None, [14, None, 14, 1]) == [None, 14, 1]


@pytest.mark.parametrize("name", [*DIRECT, "DIRECT traffic", " direct\t", "(Direct)/(None)"])
def test_direct_traffic_is_found_by_the_names_that_tools_give_it(name):
    found = direct_given_away(["Search", name, "Directory", name])
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
    assert direct_given_away(names) is None
    assert redistributions_to_try(names) == {AS_IS: None}


def test_the_redistribution_of_the_run_comes_first_and_is_tried_against_none():
    assert list(redistributions_to_try(["Direct"])) == [AS_IS, DIRECT_GIVES]
    own = rules()
    assert redistributions_to_try(["Direct"], own) == {OWN: own, AS_IS: None}
    assert next(iter(redistributions_to_try([], own))) == OWN


def test_ihc_redistributes_its_phases_and_the_others_their_credit():
    parameters, redistribution = curves_of(), rules(["Mail"], EARLIER)
    variants = variants_of(parameters)
    assert tuple(variants) == COMPARED
    assert_frame_equal(variants["IHC"](ROWS, redistribution), attribute(ROWS, parameters, redistribution))
    assert_frame_equal(variants["Linear"](ROWS, redistribution), redistributed(linear(ROWS), ROWS, redistribution))
    assert_frame_equal(variants["Last touch"](ROWS, None), last_touch(ROWS))


def test_every_model_can_be_tried():
    for variant in variants_of(curves_of(), ["IHC", *MODELS]).values():
        assert variant(ROWS, rules())["ihc"].sum() == pytest.approx(1)


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="There is no model 'Lineal'; there are IHC, First touch, "):
        variants_of(curves_of(), ["IHC", "Lineal"])


def test_each_phase_stands_beside_the_models_and_an_order_without_it_has_nothing_in_it():
    # The second order has a single session, that initializes and closes; nothing holds.
    rows = pd.concat([ROWS, journey((0, "Mail", 1, 1), conv_id="k2", prefix="t", revenue=40)])
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
        phase_credits(linear(ROWS))
