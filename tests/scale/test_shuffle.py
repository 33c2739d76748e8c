import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions
from helpers.scaling import NAMES, written
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.scale import shuffle as module
from ihc.scale.parquet import find_files, row_groups, spans_of
from ihc.scale.shuffle import FOLDERS, Deal, Meeting, deal, fit_rows, meet, part_of, read_part, refuse
from ihc.scale.store import make_folders, open_store
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, SESSIONS
from tests.scale.test_job import TIES


def dealt(folder, store, parts, rows=3):
    """Deal out a shop, a few rows at a time, and let keys and costs meet."""
    make_folders(store, *FOLDERS)
    found = {}
    for table, sources in zip(COLUMNS, folder.files(), strict=True):
        spans = spans_of([row_groups(table, source) for source in sources], rows)
        found[table] = [deal(Deal(table, sources, own, number, parts, store)) for number, own in enumerate(spans)]
    files = {table: [name for one in own for name in one.files] for table, own in found.items()}
    keys = {table: [name for one in found[table] for name in one.keys] for table in (SESSIONS, CONVERSIONS)}
    met = [meet(Meeting(number, parts, keys, files[COSTS], store)) for number in range(parts)]
    return found, met, files | {COSTS: [one.file for one in met]}


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "scratch"), "--output")


def test_the_part_of_an_id_is_the_same_in_every_process_and_whatever_stands_beside_it():
    expected = [869, 421, 774, 227]
    ids = pd.Series(["u1", "u2", "", "ü", "u1"], dtype="str")
    assert part_of(ids, 1_000).tolist() == [*expected, expected[0]]
    assert [part_of(ids[place : place + 1], 1_000)[0] for place in range(4)] == expected
    assert part_of(ids[:0], 3).tolist() == []


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_each_row_is_in_one_part_with_all_of_its_user_and_with_its_costs(tmp_path, store, parts, monkeypatch):
    monkeypatch.setattr(module, "AT_A_TIME", 3)
    folder = written(tmp_path / "in", TIES, files=2, row_group_size=2)
    found, _, files = dealt(folder, store, parts)
    tables = [read_part(store, files, number) for number in range(parts)]
    for name, expected in TIES._asdict().items():
        rows = pd.concat([getattr(own, name) for own in tables], ignore_index=True)
        key = expected.columns[0]
        if name == "conversions":  # the files have no such column
            assert rows.pop("refund_of").isna().all()
        assert_frame_equal(rows.sort_values(key, ignore_index=True), expected.sort_values(key, ignore_index=True))
    for own in tables:
        buyers = own.sessions["user_id"][own.sessions["user_id"].isin(TIES.conversions["user_id"])]
        assert buyers.isin(own.conversions["user_id"]).all()
        assert set(own.costs["session_id"]) - {"gone"} <= set(own.sessions["session_id"])
    assert {table: sum(one.rows for one in own) for table, own in found.items()} == {
        SESSIONS: 5,
        CONVERSIONS: 4,
        COSTS: 5,
    }


def test_rows_are_fit_one_by_one_and_equal_keys_are_left_to_their_meeting():
    prices = costs([("a", 1.0), ("a", -1.0), (None, 2.0), ("b", None), ("c", 1e15)])
    typed, is_fit = fit_rows(COSTS, prices)
    assert is_fit.tolist() == [True, False, False, True, False]
    assert typed.index.tolist() == [0, 3]
    assert typed["session_id"].tolist() == ["a", "b"]
    twice = costs([("a", 1.0), ("a", 2.0)])
    assert_frame_equal(fit_rows(COSTS, twice)[0], twice)


def test_keys_meet_wherever_they_stand(tmp_path, store):
    visits = sessions(
        [
            ("a", "u", "2023-09-01 10:00:00", "M"),
            ("b", "u", "2023-09-01 10:00:00", "M"),
            ("a", "v", "2023-09-01 10:00:00", "M"),
        ]
    )
    orders = conversions([("k", "u", "2023-09-01 11:00:00", 1.0), ("k", "w", "2023-09-01 11:00:00", 1.0)])
    folder = written(
        tmp_path / "in", (visits, orders, costs([("a", 1.0), ("x", 1.0), ("x", 1.0)])), files=1, row_group_size=1
    )
    _, met, _ = dealt(folder, store, 5)
    twice = {table: sorted(pd.concat([one.twice[table] for one in met])["row"]) for table in COLUMNS}
    assert twice == {SESSIONS: [0, 2], CONVERSIONS: [0, 1], COSTS: [1, 2]}


def test_of_very_many_unfit_rows_the_first_are_looked_at_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHOWN", 2)
    folder = written(tmp_path / "in", TIES._replace(costs=TIES.costs.assign(cost=-1.0)))
    places = pd.DataFrame({"file": [1, 0, 0, 1, 1], "row": [2, 1, 0, 0, 1]})
    nothing = places.iloc[:0]
    unfit = {SESSIONS: [nothing], CONVERSIONS: [nothing], COSTS: [places, places]}
    with pytest.raises(InputError) as found:
        refuse(dict(zip(COLUMNS, folder.files(), strict=True)), unfit)
    assert str(found.value).splitlines() == [
        "Table session_costs, column cost: -1.0 is negative in 2 rows (session_id 'a', 'b'). A credit note of an ad "
        "platform lowers the cost of the sessions it is for: subtract it there. To leave it out, in a view: CASE WHEN "
        "cost < 0 THEN 0 ELSE cost END AS cost.",
        "Table session_costs has 5 rows like this; 2 rows are counted above.",
    ]
    refuse(dict(zip(COLUMNS, folder.files(), strict=True)), unfit | {COSTS: [nothing]})


@pytest.mark.parametrize("shown", [1, 3])
@pytest.mark.parametrize("table", list(COLUMNS))
def test_copies_of_keys_are_refused_however_far_apart_they_stand(tmp_path, store, monkeypatch, table, shown):
    monkeypatch.setattr(module, "SHOWN", shown)
    visits = sessions([(f"s{number}", f"u{number}", "2023-09-01 10:00:00", "M") for number in range(8)])
    orders = conversions([(f"k{number}", f"u{number}", "2023-09-01 11:00:00", 1.0) for number in range(8)])
    tables = dict(zip(COLUMNS, (visits, orders, costs([(f"s{number}", 1.0) for number in range(8)])), strict=True))
    tables[table] = pd.concat([tables[table]] * 2)
    folder = written(tmp_path / "in", tuple(tables.values()))
    found, met, _ = dealt(folder, store, 3)
    unfit = {name: [one.unfit for one in own] + [one.twice[name] for one in met] for name, own in found.items()}
    with pytest.raises(InputError) as said:
        refuse(dict(zip(COLUMNS, folder.files(), strict=True)), unfit)
    key = tables[table].columns[0]
    first = tables[table][key].iloc[0]
    if shown == 3:  # one key with both copies: two keys would be four rows
        finding, more = str(said.value).splitlines()
        assert finding.startswith(
            f"Table {table}, column {key}: '{first}' is a duplicate key in 2 rows ({key} '{first}'); the rows are "
        )
        assert more == f"Table {table} has 16 rows like this; 2 rows are counted above."
    else:  # a copy alone has nothing wrong with it
        (path,) = {
            source.path for source in find_files(folder.glob(folder_of(table)), "") if "0.parquet" in source.path
        }
        assert str(said.value) == (
            f"Table {table} has 16 rows with an unfit value or a duplicate key, the first of them row 1 of {path}. "
            "Correct the table and run again."
        )


def folder_of(table):
    return NAMES[list(COLUMNS).index(table)]
