import math

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.arrays import sums as module
from ihc.arrays.sums import add_parts, multiples, part_by, rounded, sum_by, sum_of_parts, sums, total
from ihc.errors import InputError

NUMBERS = st.one_of(
    st.floats(-1e15, 1e15),
    st.integers(-(10**8), 10**8).map(lambda cents: cents / 100),
    st.floats(-1e-290, 1e-290),  # down to the smallest positive number
    st.sampled_from([1e15, -1e15, 2.0**53, 0.5, 2.0**-1074, -(2.0**-1022), 0.1, 1e-300, -0.0]),
)
NAN = float("nan")


def bits(values):
    return np.asarray(values, dtype="float64").view("int64").tolist()


@FEW
@given(st.lists(st.tuples(st.integers(0, 3), NUMBERS), max_size=30), st.randoms(use_true_random=False))
def test_sums_are_bit_identical_for_any_order_and_partitioning(rows, random):
    frame = pd.DataFrame(rows, columns=["key", "value"]).astype({"key": "int64", "value": "float64"})
    found = sum_by(frame, ["key"], ["value"])
    expected = {
        key: math.fsum(value for place, value in rows if place == key) for key in sorted({row[0] for row in rows})
    }
    assert dict(zip(found["key"], found["value"], strict=True)) == expected
    assert total(frame["value"]) == math.fsum(frame["value"])
    random.shuffle(rows)
    again = pd.DataFrame(rows, columns=["key", "value"]).astype(frame.dtypes)
    assert bits(sum_by(again, ["key"], ["value"])["value"]) == bits(found["value"])
    cut = random.randint(0, len(rows))
    parts = [part_by(part, ["key"], ["value"]) for part in (again.iloc[:cut], again.iloc[cut:])]
    assert_frame_equal(sum_of_parts(add_parts(parts, ["key"]), ["key"]), found, check_exact=True)
    assert_frame_equal(sum_of_parts(add_parts(reversed(parts), ["key"]), ["key"]), found, check_exact=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1] * 10, 1.0),  # 0.9999999999999999 if added one by one
        ([1e16, 1.0, -1e16], 1.0),  # 0.0 if added one by one
        ([2.0**53, 1.0, 2.0**-1074], 2.0**53 + 2),  # just above the midpoint of two neighbours: rounds up
        ([2.0**53, 1.0, -(2.0**-1074)], 2.0**53),  # just below it: rounds down
        ([2.0**53, 1.0, 0.0], 2.0**53),  # exactly at it: rounds to even
        ([-(2.0**53), -1.0, -(2.0**-1074)], -(2.0**53) - 2),
        ([3 * 2.0**-1074, 2.0**-1074, 2.0**-1074], 5 * 2.0**-1074),
        ([], 0.0),
        ([-0.0, -0.0, -0.0], 0.0),
        ([5.0, -5.0, NAN], 0.0),
        ([NAN], 0.0),
        ([math.inf, 1.0, 2.0], math.inf),
        ([-math.inf, 1.0, NAN], -math.inf),
        ([1e308, 1e308, -1e308], 1e308),  # infinite if added one by one
        ([1.7e308, 1.7e308, -1.7e308, -1.7e308, 3.0], 3.0),
    ],
)
def test_sums_calculated_by_hand(values, expected):
    found = total(pd.Series(values, dtype="float64"))
    assert bits([found]) == bits([expected])
    assert math.isnan(total(pd.Series([math.inf, -math.inf, *values])))


def test_an_infinite_value_in_a_partial_sum_is_refused():
    frame = pd.DataFrame({"a": ["x", "x"], "n": [math.inf, 1.0]})
    with pytest.raises(InputError, match="Column n has infinite values in 1 row: no exact sum exists"):
        part_by(frame, ["a"], ["n"])
    part = part_by(frame.assign(n=[1e308, 1e308]), ["a"], ["n"])
    back = part_by(frame.assign(n=[-1e308, 0.0]), ["a"], ["n"])
    assert sum_of_parts(add_parts([part, back], ["a"]), ["a"])["n"].tolist() == [1e308]


def test_each_group_has_its_own_sum_and_an_empty_group_has_0():
    found = sums(np.array([2, 0, 2, 2, 0]), np.array([1e16, 3.0, 1.0, -1e16, NAN]), 4)
    assert found.tolist() == [3.0, 0.0, 1.0, 0.0]


def test_blockwise_sums_are_bit_identical(monkeypatch):
    random = np.random.default_rng(3)
    values, group = np.round(random.lognormal(3, 3, 20_000), 2) * random.random(20_000), random.integers(0, 7, 20_000)
    expected = [math.fsum(values[group == one]) for one in range(7)]
    assert sums(group, values, 7).tolist() == expected
    monkeypatch.setattr(module, "LEAST_BLOCK", 100)
    assert sums(group, values, 7).tolist() == expected


def test_a_value_is_split_into_levels_26_bits_apart():
    # 2^26 + 3 + 2^-26 * 5: one of level 1, three of level 0, five of level -1.
    found = multiples(np.array([0]), np.array([2.0**26 + 3 + 5 * 2.0**-26]), 1)
    assert {level: counts.tolist() for level, counts in found.items()} == {1: [1], 0: [3], -1: [5]}
    # 2^62 times 2^26 and 2^62 times 1, as after some hundred thousand million rows.
    assert rounded({1: np.array([2**62]), 0: np.array([2**62])}, 1)[0] == 2.0**88 + 2.0**62


def test_groups_are_sorted_and_rows_with_an_empty_key_are_left_out():
    frame = pd.DataFrame({"a": ["y", "x", None, "x"], "b": ["1", "2", "1", "1"], "n": [1.0, NAN, 7.0, 2.0]})
    expected = pd.DataFrame({"a": ["x", "x", "y"], "b": ["1", "2", "1"], "n": [2.0, 0.0, 1.0]})
    assert_frame_equal(sum_by(frame, ["a", "b"], ["n"]), expected)
    assert_frame_equal(sum_of_parts(part_by(frame, ["a", "b"], ["n"]), ["a", "b"]), expected)
    assert_frame_equal(sum_by(frame.iloc[:0], ["a", "b"], ["n"]), expected.iloc[:0])
