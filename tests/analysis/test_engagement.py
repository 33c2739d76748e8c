import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, amounts, curves_of, journey, journeys, sessions
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.analysis.sensitivity import (
    closer_variants,
    engagement_effect,
    moved_revenue,
    moved_share,
    unrecorded_flags,
)
from ihc.errors import InputError
from ihc.glossary import GLOSSARY, HEADINGS
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters
from ihc.models.redistribution import parse_redistribution
from ihc.schemas.tables import PHASES

PARAMETERS = curves_of()


def effect(rows: pd.DataFrame, parameters: Parameters = PARAMETERS) -> pd.DataFrame:
    return engagement_effect(rows, closer_variants(rows, parameters))


def flagged(*flags):
    """Sessions with these `(holder_engagement, closer_engagement)`."""
    return sessions((f"s{number}", "u", "2023-09-01 10:00:00", "A", *each) for number, each in enumerate(flags))


@pytest.mark.parametrize(
    ("flags", "unrecorded"),
    [
        ([(1, 1), (1, 1)], ["holder_engagement", "closer_engagement"]),
        ([(1, 1), (0, 1)], ["closer_engagement"]),
        ([(1, 1), (1, 0)], ["holder_engagement"]),
        ([(0, 0), (0, 0)], []),
        ([], []),
    ],
)
def test_a_flag_is_unrecorded_if_it_is_1_for_all_sessions(flags, unrecorded):
    assert unrecorded_flags(flagged(*flags)) == unrecorded


def test_the_effect_of_closers_is_the_difference_in_revenue():
    # No session may hold, so the initializer (0.2) and the closer (0.3) weigh 2/5 and 3/5.
    # Initializer raw 1, m_I(60 h) = 1/2: A 2/3, B 1/3. Closer raw m_C(60 h) = 2/5, 1: A 2/7, B 5/7; last only: 0, 1.
    # A: 2/5 * 2/3 + 3/5 * 2/7 = 46/105, and 2/5 * 2/3 = 28/105. B: the rest, 59/105 and 77/105. Revenue is 105.
    found = effect(journey((0, "A", 0, 1), (60, "B", 0, 1), revenue=105.0))
    assert found.columns.tolist() == ["channel_name", "ihc_revenue", "ihc_revenue_last_closer", "difference"]
    assert found["channel_name"].tolist() == ["B", "A"]
    assert found["ihc_revenue"].tolist() == pytest.approx([59, 46])
    assert found["ihc_revenue_last_closer"].tolist() == pytest.approx([77, 28])
    assert found["difference"].tolist() == pytest.approx([18, -18])
    assert (moved_revenue(found), moved_share(found)) == pytest.approx((18, 18 / 105))
    assert set(found.columns) <= {*GLOSSARY, *HEADINGS}


def test_the_holder_gets_what_closers_leave():
    # As above, but both sessions may hold, so the phases weigh 0.2, 0.5, 0.3.
    # All closers: holder A 565/1071 (test_ihc.py). Only the last: A has u = 1/3, v = 1: arithmetic 2/3, harmonic 1/2,
    # mean 7/12; B has u = 2/3, v = 0: 1/3, 0, 1/6. So A 7/9.
    # A: 0.2 * 2/3 + 0.5 * 565/1071 + 0.3 * 2/7, and 0.2 * 2/3 + 0.5 * 7/9 = 47/90.
    found = effect(journey((0, "A", 1, 1), (60, "B", 1, 1), revenue=90.0)).set_index("channel_name").loc["A"]
    assert found["ihc_revenue"] == pytest.approx(90 * (0.4 / 3 + 0.5 * 565 / 1071 + 0.6 / 7))
    assert found["ihc_revenue_last_closer"] == pytest.approx(47)


def test_a_redistribution_applies_to_both_variants():
    # A gives all its credit to B, whoever closes.
    entry = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["A"]}
    rules = parse_redistribution(dict.fromkeys(PHASES, entry), "It")
    rows = journey((0, "A", 0, 1), (60, "B", 0, 1), revenue=105.0)
    found = engagement_effect(rows, closer_variants(rows, PARAMETERS, rules)).set_index("channel_name")
    assert found.loc["B"].tolist() == pytest.approx([105, 105, 0])


def test_channels_of_the_report_may_differ_from_those_of_the_model():
    rows = journey((0, "A", 0, 1), (60, "B", 0, 1), revenue=105.0)
    found = engagement_effect(rows.assign(channel_name="Both"), closer_variants(rows, PARAMETERS))
    assert found.to_numpy().tolist() == [["Both", pytest.approx(105), pytest.approx(105), pytest.approx(0, abs=1e-9)]]
    assert moved_revenue(found) == pytest.approx(0, abs=1e-9)


def test_there_is_no_share_without_revenue():
    free = effect(journey((0, "A", 0, 1), (60, "B", 0, 1), revenue=0.0))
    refunded = effect(journey((0, "A", 0, 1), (60, "B", 0, 1), revenue=-105.0))
    assert np.isnan([moved_share(free), moved_share(refunded)]).all()
    assert moved_revenue(refunded) == pytest.approx(18)


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match="Sessions lacks the column 'closer_engagement'"):
        unrecorded_flags(flagged((1, 1)).drop(columns="closer_engagement"))


@FEW
@given(journeys(), amounts(0), st.integers(0, 1))
def test_revenue_is_kept_and_recorded_closers_are_ignored(rows, revenue, flag):
    rows = rows.assign(revenue=revenue)
    before = rows.copy(deep=True)
    found = effect(rows)
    assert_frame_equal(rows, before)
    assert_frame_equal(effect(rows.assign(closer_engagement=flag)), found)
    whole = revenue * rows["conv_id"].nunique()
    assert found[["ihc_revenue", "ihc_revenue_last_closer"]].sum().tolist() == pytest.approx([whole] * 2)
    assert found["difference"].sum() == pytest.approx(0, abs=1e-6)
    assert 0 <= moved_revenue(found) <= whole * (1 + 1e-9)


@FEW
@given(journeys())
def test_the_first_variant_is_the_attribution_of_a_shop_without_flags(rows):
    rows = rows.assign(holder_engagement=1, closer_engagement=1)
    assert_frame_equal(closer_variants(rows, PARAMETERS)["ihc_revenue"], attribute(rows, PARAMETERS))
