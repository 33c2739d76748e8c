"""Attribution with parameters per conversion type."""

import pandas as pd
import pytest
from helpers.frames import journey, shuffled
from helpers.parameter_sets import EARLY, LATE
from pandas.testing import assert_frame_equal

from ihc.models.conversion_types import ParameterSets, attribute_by_type
from ihc.models.ihc import attribute

# No session may hold.
STEPS = [(0, "A", 0, 0), (50, "B", 0, 0)]
CONVERSIONS = pd.DataFrame(
    {
        "conv_id": ["l", "p", "n", "r"],
        "user_id": "ann",
        "revenue": [0.0, 80.0, 20.0, -80.0],
        "refund_of": [None, None, None, "p"],
        "conversion_type": ["lead", "purchase", None, "lead"],
    }
)
JOURNEYS = pd.concat([journey(*STEPS).assign(conv_id=name) for name in CONVERSIONS["conv_id"]], ignore_index=True)
SETS = ParameterSets(EARLY, {"purchase": LATE})


def test_each_conversion_is_attributed_with_the_set_of_its_type():
    typed = SETS.with_types(JOURNEYS, CONVERSIONS)
    # EARLY: 3/4 and 1/4. LATE: 1/4 and 3/4. The refund has its order's type.
    found = attribute_by_type(typed, SETS)
    assert found["conv_id"].tolist() == ["l", "l", "p", "p", "n", "n", "r", "r"]
    assert found["ihc"].tolist() == pytest.approx([0.75, 0.25, 0.25, 0.75, 0.75, 0.25, 0.25, 0.75])


def test_the_order_of_the_rows_does_not_matter_and_the_result_has_it():
    typed = SETS.with_types(JOURNEYS, CONVERSIONS)
    mixed = shuffled(typed, 1)
    found = attribute_by_type(mixed, SETS)
    assert found[["conv_id", "session_id"]].to_numpy().tolist() == mixed[["conv_id", "session_id"]].to_numpy().tolist()
    by_row = found.sort_values(["conv_id", "session_id"], ignore_index=True)
    assert_frame_equal(by_row, attribute_by_type(typed, SETS).sort_values(["conv_id", "session_id"], ignore_index=True))


def test_one_set_gives_the_same_as_attribute_and_needs_no_types():
    one = ParameterSets(EARLY)
    assert one.with_types(JOURNEYS, CONVERSIONS) is JOURNEYS
    for parameters in (one, EARLY):
        assert_frame_equal(attribute_by_type(JOURNEYS, parameters), attribute(JOURNEYS, EARLY))


def test_no_journeys_have_no_credit():
    none = JOURNEYS.iloc[:0]
    assert_frame_equal(attribute_by_type(SETS.with_types(none, CONVERSIONS), SETS), attribute(none, EARLY))


def test_the_used_sets_are_those_of_the_types_there_are():
    sets = ParameterSets(EARLY, {"purchase": LATE, "lead": LATE})
    assert sets.used(["purchase", "lead"]) == {"lead": LATE, "purchase": LATE}
    assert sets.used(["purchase", "trial"]) == {"purchase": LATE, "other types": EARLY}
    assert sets.used([]) == sets.used(["trial"]) == {"other types": EARLY}
    assert sets.label == f"{LATE.label} for lead, {LATE.label} for purchase, {EARLY.label} for other types"
