import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, credits_of, curves_of, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.channels import (
    CLASSES,
    average_impact,
    before_after,
    channel_scores,
    credit_distribution,
    influenced_conversions,
    phase_shares,
    with_channels,
)
from ihc.errors import InputError
from ihc.models.heuristics import last_touch, linear
from ihc.models.ihc import attribute
from ihc.schemas.tables import PHASES

# k1: Search, Mail, Search; k2: Mail alone.
ROWS = pd.concat(
    [
        journey((0, "Search", 1, 1), (1, "Mail", 1, 1), (2, "Search", 1, 1), conv_id="k1", prefix="a"),
        journey((0, "Mail", 1, 1), conv_id="k2", prefix="b"),
    ]
)
CREDITS = credits_of([("k1", "a1", 0.5), ("k1", "a2", 0.0), ("k1", "a3", 0.5), ("k2", "b1", 1.0)]).assign(
    initializer=[1.0, 0.0, 0.0, 1.0], holder=0.0, closer=[0.0, 0.0, 1.0, 1.0]
)


def test_scores_compare_a_channels_share_of_a_phase_with_the_mean_share():
    # The mean share of three channels is one third; Social has no credit. Initializer: Search 1, Mail 1, Social 0 of 2:
    # shares 1/2, 1/2, 0; scores 1.5, 1.5, 0.
    rows = pd.concat([ROWS, journey((0, "Social", 1, 1), (1, "Search", 1, 1), conv_id="k3", prefix="c")])
    more = credits_of([("k3", "c1", 0.0), ("k3", "c2", 1.0)]).assign(initializer=0.0, holder=0.0, closer=[0.0, 2.0])
    found = channel_scores(with_channels(pd.concat([CREDITS, more]), rows)).set_index("channel_name")
    assert found.index.tolist() == ["Search", "Mail", "Social"]
    assert found["initializer_score"].tolist() == [1.5, 1.5, 0]
    assert found["closer_score"].tolist() == [2.25, 0.75, 0]  # 3, 1 and 0 of 4
    assert found["ihc_score"].tolist() == [2.0, 1.0, 0]  # 2, 1 and 0 of 3


def test_a_phase_without_credit_has_no_scores():
    assert channel_scores(with_channels(CREDITS, ROWS))["holder_score"].isna().all()


def test_the_average_impact_is_the_mean_credit_per_influenced_order():
    # Mail: 0 in k1, 1 in k2; Search: 1/2 + 1/2 in k1, that counts once.
    placed = with_channels(CREDITS, ROWS)
    assert influenced_conversions(placed).to_numpy().tolist() == [["Mail", 2, 1.0], ["Search", 1, 0.5]]
    found = average_impact(placed)
    assert found["channel_name"].tolist() == ["Mail", "Search"]
    assert found["ihc"].tolist() == [1.0, 1.0]
    assert found["average_impact"].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("ihc", "name"),
    [
        (0.0, "no_credit"),
        (1e-12, "no_credit"),
        (1e-6, "up_to_10"),
        (0.1, "up_to_10"),
        (0.1001, "up_to_25"),
        (0.25, "up_to_25"),
        (0.5, "up_to_50"),
        (0.5001, "below_all"),
        (0.9999, "below_all"),
        (1 - 1e-12, "all_credit"),
        (1.0, "all_credit"),
        (1.0001, "all_credit"),
    ],
)
def test_credit_classes_include_their_upper_edge(ihc, name):
    found = credit_distribution(with_channels(credits_of([("k", "s1", ihc)]), journey((0, "A", 1, 1))))
    assert found[list(CLASSES)].iloc[0].to_dict() == {column: float(column == name) for column in CLASSES}


def test_the_credit_distribution_is_in_shares_of_the_channels_sessions():
    found = credit_distribution(with_channels(CREDITS, ROWS))
    assert found["channel_name"].tolist() == ["Mail", "Search"]
    assert found["sessions_in_journeys"].tolist() == [2, 2]
    assert found["no_credit"].tolist() == [0.5, 0]
    assert found["up_to_50"].tolist() == [0, 1]
    assert found["all_credit"].tolist() == [0.5, 0]


def test_before_and_after_are_sums_per_channel_and_their_difference():
    found = before_after(linear(ROWS), last_touch(ROWS), ROWS)
    # Linear: Mail 1/3 + 1, Search 2/3; last touch: Mail 1, Search 1.
    assert found["channel_name"].tolist() == ["Mail", "Search"]
    assert found["ihc_before"].tolist() == pytest.approx([4 / 3, 2 / 3])
    assert found["ihc_after"].tolist() == [1, 1]
    assert found["ihc_change"].tolist() == pytest.approx([-1 / 3, 1 / 3])


def test_before_and_after_of_different_sessions_are_refused():
    with pytest.raises(InputError, match="3 sessions occur in only one of them, for example in order 'k1'"):
        before_after(CREDITS, CREDITS[CREDITS["conv_id"] == "k2"], ROWS)


def test_a_credit_whose_session_is_in_no_journey_is_left_out():
    rows = ROWS[ROWS["conv_id"] == "k2"]
    assert influenced_conversions(with_channels(CREDITS, rows)).to_numpy().tolist() == [["Mail", 1, 1.0]]


def views(credits, rows):
    placed = with_channels(credits, rows)
    return {
        "scores": channel_scores(placed),
        "impact": average_impact(placed),
        "distribution": credit_distribution(placed),
        "before_after": before_after(credits, credits, rows),
        "phases": phase_shares(placed),
    }


def test_no_credits_give_empty_tables_with_the_same_columns():
    full, empty = views(CREDITS, ROWS), views(CREDITS.iloc[:0], ROWS.iloc[:0])
    assert all(frame.empty for frame in empty.values())
    assert {name: list(frame) for name, frame in empty.items()} == {name: list(frame) for name, frame in full.items()}


def test_phase_shares_are_relative_to_the_channels_own_sums():
    # Search: initializer 1, holder 0.5, closer 1 of 2.5; Mail: 1, 0.5 and 1 of 2.5 but for the closer of k2, 0.5: of 2.
    credits = CREDITS.assign(holder=[0.5, 0.5, 0.0, 0.0], closer=[0.0, 0.0, 1.0, 0.5])
    found = phase_shares(with_channels(credits, ROWS))
    assert list(found) == ["channel_name", "ihc", *PHASES]
    assert found.to_numpy().tolist() == [["Mail", 1.0, 0.5, 0.25, 0.25], ["Search", 1.0, 0.4, 0.2, 0.4]]


def test_an_unknown_phase_counts_as_0_and_without_phases_shares_are_nan():
    # Of Mail, only k2 has phases: it starts and closes.
    known = CREDITS.assign(**{phase: CREDITS[phase].where(CREDITS["conv_id"] == "k2") for phase in PHASES})
    found = phase_shares(with_channels(known, ROWS)).set_index("channel_name")
    assert found.loc["Mail", list(PHASES)].tolist() == [0.5, 0, 0.5]
    assert found.loc["Search", list(PHASES)].isna().all()
    assert found["ihc"].tolist() == [1.0, 1.0]


PLACED = with_channels(CREDITS, ROWS)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        *((lambda view=view: view(PLACED.drop(columns="ihc")), "Credits lacks the column 'ihc'")
          for view in (channel_scores, phase_shares, average_impact, credit_distribution)),
        *((lambda view=view: view(CREDITS), "Credits lacks the column 'channel_name'")
          for view in (channel_scores, phase_shares, average_impact, credit_distribution)),
        *((lambda view=view: view(PLACED.drop(columns="holder")), "Credits lacks the column 'holder'")
          for view in (channel_scores, phase_shares)),
        (lambda: with_channels(CREDITS.drop(columns="ihc"), ROWS), "Credits lacks the column 'ihc'"),
        (lambda: with_channels(CREDITS, ROWS.drop(columns="channel_name")), "Journeys lacks the column 'channel_name'"),
    ],
)  # fmt: skip
def test_missing_columns_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


@FEW
@given(journeys(), st.integers(0, 9))
def test_scores_average_1_shares_sum_to_1_and_row_order_is_irrelevant(rows, seed):
    credits = attribute(rows, curves_of())
    before = credits.copy(deep=True)
    found = views(credits, rows)
    scores = found["scores"].drop(columns="channel_name").dropna(axis="columns")
    assert {"initializer_score", "closer_score", "ihc_score"} <= set(scores)
    np.testing.assert_allclose(scores.mean(), 1)
    np.testing.assert_allclose(found["distribution"][list(CLASSES)].sum(axis=1), 1)
    assert found["distribution"]["sessions_in_journeys"].sum() == len(rows)
    assert found["impact"]["average_impact"].between(0, 1 + 1e-12).all()
    np.testing.assert_allclose(found["impact"]["ihc"].sum(), rows["conv_id"].nunique())
    np.testing.assert_allclose(found["before_after"]["ihc_change"], 0)
    sums = found["phases"][list(PHASES)].sum(axis=1, skipna=False)
    np.testing.assert_allclose(sums.dropna(), 1)
    assert found["phases"][list(PHASES)].isna().all(axis=1).equals(sums.isna())
    assert found["phases"]["ihc"].is_monotonic_decreasing
    again = views(shuffled(credits, seed), shuffled(rows, seed + 1))
    for name, frame in found.items():
        by = "channel_name"
        assert_frame_equal(again[name].sort_values(by, ignore_index=True), frame.sort_values(by, ignore_index=True))
    assert_frame_equal(credits, before)
