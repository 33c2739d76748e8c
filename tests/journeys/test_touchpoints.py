import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, journey, journeys, shuffled
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.journeys.touchpoints import channel_codes, credits_of, in_time_order, spread_by_channel

# Two journeys, rows mixed: k2 is a single session, k1 has s1 and s2 at the same time and s3 an hour later.
MIXED = pd.concat(
    [journey((0, "B", 1, 1), (0, "A", 1, 1), (1, "B", 1, 1), conv_id="k1"), journey((5, "A", 1, 1), conv_id="k2")],
    ignore_index=True,
).iloc[[2, 3, 1, 0]]


def test_touchpoints_are_sorted_by_path_time_and_session_id():
    steps = in_time_order(MIXED)
    # Rows of MIXED: 0 is s3, 1 is k2's, 2 is s2, 3 is s1.
    assert steps.row.tolist() == [3, 2, 0, 1]
    assert steps.path.tolist() == [0, 0, 0, 1]
    assert steps.rank.tolist() == [0, 1, 2, 0]
    assert steps.length.tolist() == [3, 3, 3, 1]
    assert steps.last.tolist() == [2, 2, 2, 3]
    assert ((steps.moment - steps.moment[0]) / 3_600_000_000).tolist() == [0, 0, 1, 5]


@FEW
@given(journeys(), st.integers(0, 9))
def test_the_order_is_that_of_a_plain_sort(rows, seed):
    rows = shuffled(rows, seed)
    ordered = rows.iloc[in_time_order(rows).row].sort_values("conv_id", kind="stable", ignore_index=True)
    assert_frame_equal(ordered, rows.sort_values(["conv_id", "timestamp", "session_id"], ignore_index=True))


def test_paths_can_be_grouped_by_user_and_a_missing_column_is_named():
    rows = MIXED.drop(columns="conv_id")
    assert in_time_order(rows, path="user_id").path.tolist() == [0, 0, 0, 1]
    with pytest.raises(InputError, match="Idle lacks the column 'conv_id'; it needs conv_id, session_id, timestamp, x"):
        in_time_order(rows.assign(x=1), "x", what="idle")


def test_credits_are_normalised_by_journey_and_keep_the_row_order():
    # Raw values in time order: s1 1, s2 3, s3 4 of 8; k2's session 7 of 7.
    credits = credits_of(MIXED, in_time_order(MIXED), np.array([1.0, 3.0, 4.0, 7.0]))
    expected = pd.DataFrame(
        {"conv_id": ["k1", "k2", "k1", "k1"], "session_id": ["s3", "s1", "s2", "s1"], "ihc": [1 / 2, 1, 3 / 8, 1 / 8]}
    )
    assert_frame_equal(credits, expected)


def test_a_channels_weight_is_split_over_its_sessions_in_the_journey():
    # In time order B, A, B of k1 and A of k2; A weighs 3, B 1.
    raw = spread_by_channel(in_time_order(MIXED), np.array([1, 0, 1, 0]), np.array([1.0, 3.0, 1.0, 3.0]))
    assert raw.tolist() == [0.5, 3, 0.5, 3]


def test_channels_are_numbered_by_name_and_a_missing_name_is_a_channel_too():
    codes, names = channel_codes(pd.Series(["b", None, "a", "b"], dtype="str"))
    assert codes.tolist() == [1, 2, 0, 1]
    assert names.iloc[:2].tolist() == ["a", "b"]
    assert names.isna().tolist() == [False, False, True]
