import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW
from hypothesis import given
from hypothesis import strategies as st

from ihc.arrays.codes import dtype_of, with_shared_codes
from ihc.arrays.lookup import factorize, get_indexer, isin, lookup

IDS = st.lists(st.sampled_from(["", "a", "A", "b", "é", None]), max_size=8)


def texts(*ids):
    return pd.Series(list(ids), dtype="str")


def test_columns_share_sorted_categories_and_keep_their_texts():
    sessions, costs = with_shared_codes(texts("b", "a", "c"), texts("c", None, "a", "z").set_axis([9, 8, 7, 6]))
    assert sessions.cat.categories.tolist() == ["a", "b", "c", "z"]
    assert sessions.dtype == costs.dtype
    assert costs.index.tolist() == [9, 8, 7, 6]
    assert costs.astype("str").fillna("-").tolist() == ["c", "-", "a", "z"]


def test_categories_stay_unless_there_is_a_new_id():
    (sessions,) = with_shared_codes(texts("b", "a"))
    same, credits = with_shared_codes(sessions, texts("a", "a", "b"))
    assert same.dtype is sessions.dtype
    assert credits.array.codes.tolist() == [0, 0, 1]
    more, others = with_shared_codes(sessions, texts("0"))
    assert more.cat.categories.tolist() == ["0", "a", "b"]
    assert (more.tolist(), others.tolist()) == (["b", "a"], ["0"])


def test_unsorted_categories_are_refused():
    with pytest.raises(ValueError, match="sorted"):
        dtype_of(pd.Index(["b", "a"], dtype="str"))


@FEW
@given(IDS, IDS)
def test_lookups_of_categories_equal_those_of_texts(ids, known):
    plain = pd.Series(ids, dtype="str"), pd.Series(known, dtype="str")
    coded = with_shared_codes(*plain)
    for one, other in zip(plain, coded, strict=True):
        assert other.astype("str").equals(one)
        assert factorize(other).tolist() == factorize(one).tolist()
        assert np.argsort(other.dropna().array.codes, kind="stable").tolist() == sorted(
            range(other.notna().sum()), key=one.dropna().tolist().__getitem__
        )
    assert get_indexer(*coded).tolist() == get_indexer(*plain).tolist()
    assert isin(*coded).tolist() == isin(*plain).tolist()
    table = pd.DataFrame({"key": coded[1], "place": np.arange(len(known), dtype="float64")})
    found = lookup(coded[0], table, "key", "place")
    assert found.fillna(-1).tolist() == get_indexer(*plain).tolist()
