import dask.dataframe as dd
import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions
from helpers.scaling import TIES

from ihc.scale import checks
from ihc.scale.checks import count_unfit, finding, is_unfit, unfit_rows
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, SESSIONS


def looked_at(table, frame, parts):
    """The message about a table distributed over three partitions, and the number of its invalid rows."""
    whole = frame.reset_index(drop=True)
    spread = dd.from_pandas(whole, npartitions=3)
    counts = count_unfit(table, spread, parts).compute(scheduler="sync")
    rows = unfit_rows(table, spread, counts).compute(scheduler="sync")
    return finding(table, rows, counts), int(counts.loc[counts["key"].isna(), "rows"].sum())


def test_invalid_values_are_marked_by_row_and_duplicate_keys_are_not():
    prices = costs([("a", 1.0), ("a", -1.0), (None, 2.0), ("b", None), ("c", 1e15)])
    assert is_unfit(COSTS, prices).tolist() == [False, True, True, False, True]
    assert not is_unfit(COSTS, costs([("a", 1.0), ("a", 2.0)])).any()


@pytest.mark.parametrize(
    ("table", "frame", "count"),
    [
        (SESSIONS, sessions([(key, key, "2023-09-01 10:00:00", "M") for key in "abcda"]), 2),
        (CONVERSIONS, conversions([(key, user, "2023-09-01 11:00:00", 1.0) for key, user in ("ku", "kv", "lw")]), 2),
        (COSTS, costs([("a", 1.0), ("x", 1.0), ("b", -1.0), ("x", -1.0)]), 3),  # an invalid copy counts once
    ],
)
def test_duplicate_keys_are_found_across_partitions(table, frame, count):
    said, found = looked_at(table, frame, 3)
    assert found == count
    assert "is a duplicate key in 2 rows" in said
    assert "like this" not in said


def test_of_very_many_invalid_rows_the_first_are_read_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(checks, "SHOWN", 2)
    assert looked_at(COSTS, TIES.costs.assign(cost=-1.0), 2)[0].splitlines() == [
        "Table session_costs, column cost: -1.0 is negative in 2 rows (session_id 'a', 'b'). A credit note of an ad "
        "platform lowers the cost of the sessions it is for: subtract it there. To leave it out, in a view: CASE WHEN "
        "cost < 0 THEN 0 ELSE cost END AS cost.",
        "Table session_costs has 5 rows like this; 2 rows are included above.",
    ]


@pytest.mark.parametrize(("shown", "copies"), [(2, 2), (3, 2), (4, 4)])
def test_of_very_many_duplicate_keys_some_are_read_with_all_their_copies(monkeypatch, shown, copies):
    monkeypatch.setattr(checks, "SHOWN", shown)
    said, more = looked_at(COSTS, pd.concat([TIES.costs] * 2), 3)[0].splitlines()[-2:]
    assert f"is a duplicate key in {copies} rows" in said
    assert more == f"Table session_costs has 10 rows like this; {copies} rows are included above."


def test_rows_that_are_valid_when_read_again_are_refused_anyway():
    counts = pd.DataFrame({"key": pd.Series([None, "a"], dtype="str"), "rows": [3, 2]})
    said = finding(COSTS, TIES.costs[list(COLUMNS[COSTS])], counts)
    assert said == "Table session_costs had 3 rows with an invalid value or a duplicate key, and has changed since."
