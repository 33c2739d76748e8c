import numpy as np
import pandas as pd
from helpers.frames import FEW, credits_of
from hypothesis import given
from hypothesis import strategies as st

from ihc.arrays.lookup import argsort, factorize, get_indexer, get_pair_indexer, isin, join, lookup

IDS = pd.Series(["a", "b", "a", "c"], index=[7, 7, 8, 9], dtype="str")
KNOWN = pd.DataFrame({"key": pd.Series(["c", "a", "d", "a"], dtype="str"), "figure": [1.5, 2.5, 3.5, 4.5]})


def test_get_indexer_returns_the_first_position():
    assert get_indexer(IDS, KNOWN["key"]).tolist() == [1, -1, 1, 0]
    assert isin(IDS, KNOWN["key"]).tolist() == [True, False, True, True]
    assert get_indexer(pd.concat([IDS] * 3), KNOWN["key"]).tolist() == [1, -1, 1, 0] * 3  # as several Arrow chunks


def test_empty_ids_and_empty_tables_give_empty_results():
    assert isin(IDS, KNOWN["key"].iloc[:0]).tolist() == [False] * 4
    assert isin(IDS.iloc[:0], KNOWN["key"]).tolist() == []
    assert lookup(IDS, KNOWN.iloc[:0], "key", "figure").isna().all()


def test_lookup_keeps_the_index_of_the_ids():
    found = lookup(IDS, KNOWN, "key", "figure")
    assert found.index.tolist() == IDS.index.tolist()
    assert found.fillna(0.0).tolist() == [2.5, 0.0, 2.5, 1.5]
    assert lookup(IDS, KNOWN, "key", "key").fillna("none").tolist() == ["a", "none", "a", "c"]


def test_ids_are_compared_as_texts_and_missing_ids_are_never_found():
    assert isin(pd.Series([1, 2]), pd.Series(["2", "3"], dtype="str")).tolist() == [False, True]
    assert isin(pd.Series(["2", None], dtype="object"), pd.Series([None, "2"], dtype="str")).tolist() == [
        True, False
    ]  # fmt: skip


def test_factorize_numbers_ids_by_first_appearance():
    assert factorize(IDS).tolist() == [0, 1, 0, 2]
    assert factorize(IDS.iloc[[0, 2, 1, 3, 1]]).tolist() == [0, 0, 1, 2, 1]
    assert factorize(IDS.iloc[:0]).tolist() == []
    assert factorize(pd.Series([7, 7, 3, 7])).tolist() == [0, 0, 1, 0]


@FEW
@given(*[st.lists(st.sampled_from(["", "a", "A", "b", "é", " a", "\n"]), max_size=8)] * 2)
def test_isin_equals_pandas_isin(ids, known):
    columns = pd.Series(ids, dtype="str"), pd.Series(known, dtype="str")
    assert isin(*columns).tolist() == columns[0].isin(columns[1]).tolist()
    found = get_indexer(*columns)
    assert [known[place] for place in found[found >= 0]] == [one for one in ids if one in known]
    several = pd.concat([columns[0], pd.Series([None], dtype="str"), columns[0]], ignore_index=True)
    assert factorize(several).tolist() == pd.factorize(several)[0].tolist()


PAIRS = credits_of([("k", "a", 0.25), ("k", "b", 0.75), ("l", "a", 1.0)])


def test_a_pair_is_found_by_both_ids():
    rows = credits_of([("l", "a", 0.0), ("l", "b", 0.0), ("k", "b", 0.0), ("k", "b", 0.0)])
    assert get_pair_indexer(rows, PAIRS).tolist() == [2, -1, 1, 1]
    assert get_pair_indexer(PAIRS, PAIRS.copy()).tolist() == [0, 1, 2]
    assert get_pair_indexer(rows.iloc[:0], PAIRS).tolist() == get_pair_indexer(PAIRS.iloc[:0], rows).tolist() == []
    assert get_pair_indexer(rows, PAIRS.iloc[:0]).tolist() == [-1] * 4


def test_the_first_of_several_equal_pairs_is_used():
    assert get_pair_indexer(PAIRS.iloc[:1], pd.concat([PAIRS.iloc[1:], PAIRS.iloc[:1], PAIRS])).tolist() == [2]


def test_join_keeps_rows_and_order_and_gives_nan_without_a_match():
    found = join(PAIRS.set_axis([5, 5, 6]), PAIRS.iloc[[2, 0]].assign(holder=[0.1, 0.2]), ["holder"])
    assert found.index.tolist() == [5, 5, 6]
    assert found["holder"].fillna(-1.0).tolist() == [0.2, -1.0, 0.1]
    assert found["ihc"].tolist() == PAIRS["ihc"].tolist()


@FEW
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("cab")), max_size=9))
def test_argsort_sorts_by_key_then_id(rows):
    keys, ids = np.array([key for key, _ in rows], dtype="int64"), pd.Series([one for _, one in rows], dtype="str")
    assert [rows[place] for place in argsort(keys, ids)] == sorted(rows)


@FEW
@given(*[st.lists(st.tuples(*[st.sampled_from("kla")] * 2), max_size=8)] * 2)
def test_pairs_are_found_at_their_first_position(rows, known):
    frames = [pd.DataFrame(pairs, columns=["conv_id", "session_id"], dtype="str") for pairs in (rows, known)]
    assert get_pair_indexer(*frames).tolist() == [known.index(pair) if pair in known else -1 for pair in rows]
