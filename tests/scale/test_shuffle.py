import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc.scale.output import open_output
from ihc.scale.shuffle import (
    Shuffle,
    by_key,
    make_folders,
    match_keys,
    part_of,
    read_parts,
    read_rows,
    write_parts,
    write_rows,
)
from ihc.schemas.tables import CONVERSIONS, COSTS, SESSIONS

VISITS = pd.DataFrame(
    {
        "session_id": ["a", "b", "c", "d"],
        "user_id": ["u", "v", "u", None],
        "event_date": "2023-09-01",
        "event_time": "10:00:00",
        "channel_name": "Search",
        **dict.fromkeys(("holder_engagement", "closer_engagement", "impression_interaction"), 0),
    }
)
ORDERS = pd.DataFrame(
    {"conv_id": ["k"], "user_id": ["u"], "conv_date": "2023-09-02", "conv_time": "10:00:00", "revenue": 5.0}
)
PRICES = pd.DataFrame({"session_id": ["c", "d", "gone", "a"], "cost": [1.0, 2.0, 3.0, 4.0]})
PARTS, KEY_PARTS = 3, 2


def shuffled(folder, visits=VISITS, orders=ORDERS, prices=PRICES):
    """Each row of a table is a partition of its own. Out: the shuffle, and whether all values and keys are valid."""
    tables = {SESSIONS: visits, CONVERSIONS: orders, COSTS: prices}
    shuffle = Shuffle(open_output(str(folder)), PARTS, KEY_PARTS, {table: len(rows) for table, rows in tables.items()})
    make_folders(shuffle)
    for table, frame in tables.items():
        for number in range(len(frame)):
            if not write_rows(shuffle, table, number, frame.iloc[[number]].reset_index(drop=True)):
                return shuffle, False
    return shuffle, all(match_keys(shuffle, number) for number in range(KEY_PARTS))


def parts(shuffle, table):
    return [read_rows(shuffle, table, number) for number in range(PARTS)]


def test_the_rows_of_a_user_are_in_one_part_of_all_tables(tmp_path):
    shuffle, is_valid = shuffled(tmp_path)
    assert is_valid
    visits, orders, prices = (parts(shuffle, table) for table in (SESSIONS, CONVERSIONS, COSTS))
    (own,) = [number for number, part in enumerate(visits) if "a" in set(part["session_id"])]
    assert set(visits[own].loc[visits[own]["user_id"] == "u", "session_id"]) == {"a", "c"}
    assert orders[own]["conv_id"].tolist() == ["k"]
    assert {"a", "c"} <= set(prices[own]["session_id"])
    of_nobody = [number for number, part in enumerate(visits) if "d" in set(part["session_id"])]
    assert of_nobody == [number for number, part in enumerate(prices) if "d" in set(part["session_id"])]


def test_every_row_is_in_one_part_with_the_types_of_the_checked_table(tmp_path):
    shuffle, _ = shuffled(tmp_path)
    visits = pd.concat(parts(shuffle, SESSIONS)).sort_values("session_id", ignore_index=True)
    flags = ["holder_engagement", "closer_engagement", "impression_interaction"]
    pd.testing.assert_frame_equal(visits, VISITS.astype({"user_id": "str"} | dict.fromkeys(flags, "int8")))
    prices = pd.concat(parts(shuffle, COSTS)).sort_values("cost", ignore_index=True)
    pd.testing.assert_frame_equal(prices, PRICES)


@pytest.mark.parametrize(
    "tables",
    [
        {"visits": pd.concat([VISITS, VISITS.iloc[[1]].assign(user_id="w")])},
        {"orders": pd.concat([ORDERS, ORDERS.assign(user_id="v")])},
        {"prices": pd.concat([PRICES, PRICES.iloc[[2]]])},
        {"orders": ORDERS.assign(revenue=float("inf"))},
    ],
    ids=["a session twice", "an order twice", "a cost twice", "a value"],
)
def test_a_duplicate_key_in_another_partition_and_an_invalid_value_are_found(tmp_path, tables):
    assert not shuffled(tmp_path, **tables)[1]


def test_an_invalid_partition_and_keys_that_are_not_unique_write_nothing(tmp_path):
    shuffle, _ = shuffled(tmp_path / "value", orders=ORDERS.assign(conv_date="2023-02-30"))
    assert [shuffle.folder.ls(name) for name in (CONVERSIONS, by_key(CONVERSIONS))] == [[], []]
    shuffle, _ = shuffled(tmp_path / "keys", prices=pd.concat([PRICES] * 2))
    assert shuffle.folder.ls(COSTS) == []


@given(st.lists(st.text(max_size=3), max_size=20), st.integers(1, 7))
def test_a_part_has_the_rows_of_its_number_in_the_order_of_the_files(tmp_path_factory, ids, count):
    folder = open_output(str(tmp_path_factory.mktemp("parts")))
    folder.makedirs("rows")
    rows = pd.DataFrame({"id": pd.Series(ids, dtype="str"), "place": range(len(ids))})
    part, half = part_of(rows["id"], count), len(ids) // 2
    for number, own in enumerate((slice(None, half), slice(half, None))):
        write_parts(folder, "rows", number, rows[own], part[own], count)
    for number in range(count):
        expected = rows[part == number].reset_index(drop=True)
        pd.testing.assert_frame_equal(read_parts(folder, "rows", 2, number), expected)


def test_the_part_of_an_id_is_the_same_on_each_machine():
    # Literal numbers: workers that disagreed would separate a user's sessions from their orders.
    assert part_of(pd.Series(["u", "v", "ü", ""]), 1_000).tolist() == [206, 988, 227, 774]
