import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from helpers.databases import raise_at, rows_of, sql
from helpers.frames import FIXED, UNTRUSTED, shops
from helpers.states import assert_same_state, of_shop, state
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.analysis.changes import changes_since, compare, list_runs, over_dates_of, record_run, unrecorded_run
from ihc.database import history
from ihc.database.database import Database
from ihc.database.history import RecordedRun, find_run, previous_run, read_state, recorded_runs
from ihc.database.results import create_tables
from ihc.database.tables import HISTORY, Run
from ihc.errors import DatabaseError, InputError

A = state(
    [("a", 100), ("b", 10)],
    [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0)],
    [("Search", 1, 20.0), ("Mail", 2, 4.0)],
)
# b has a new revenue, c is new, the cost of Search increased, that of Mail became zero.
B = state(
    [("a", 100), ("b", 15), ("c", 8)],
    [("a", "Search", 1, 0.5), ("a", "Mail", 2, 0.5), ("b", "Mail", 2, 1.0), ("c", "Search", 1, 1.0)],
    [("Search", 1, 25.0)],
)


def run(number, **dates):
    asked = {"start_date": None, "end_date": None} | dates
    return Run(f"run-{number}", f"2023-10-0{number} 06:00:00", "local", "default (abc)", 30.0, **asked, version="0")


@pytest.fixture
def file(empty_files, tmp_path):
    """A new SQLite file, for tests that do not depend on the kind of database."""
    return Database(shutil.copy(empty_files / "shop.db", tmp_path / "shop.db"))


def rows(database):
    return {name: rows_of(database, name) for name in HISTORY}


def counts(database):
    return {name: len(found) for name, found in rows(database).items()}


def test_a_recorded_run_has_a_number_and_the_totals_of_its_report(file):
    found = record_run(file, run(1, start_date="2023-09-02"), A)
    # On 2 September: half of a (50) and all of b (10).
    assert found == RecordedRun(
        *(1, "run-1", "2023-10-01 06:00:00", "local", "default (abc)", 30.0, "2023-09-02", None, "0"),
        *(2, 1.5, 60.0, 4.0),
    )
    assert recorded_runs(file) == [found]


def test_what_is_recorded_is_read_back_for_each_of_the_runs(file):
    recorded = [record_run(file, run(number), each) for number, each in enumerate((A, B, A, A, state()), start=1)]
    for found, each in zip(recorded, (A, B, A, A, state()), strict=True):
        assert_same_state(read_state(file, found), each)


@given(st.lists(shops(), min_size=2, max_size=2))
@settings(FIXED, max_examples=5)
def test_any_states_are_read_back(made):
    states = [of_shop(shop) for shop in made]
    with TemporaryDirectory() as folder:
        database = Database(Path(folder) / "shop.db")
        create_tables(database)
        recorded = [record_run(database, run(number), each) for number, each in enumerate(states, start=1)]
        for found, each in zip(recorded, states, strict=True):
            assert_same_state(read_state(database, found), each)


def test_a_run_that_changes_nothing_adds_one_row(file):
    record_run(file, run(1), A)
    before = rows(file)
    record_run(file, run(2), A)
    after = rows(file)
    assert len(after.pop("report_runs")) == len(before.pop("report_runs")) + 1
    assert after == before


def test_a_run_writes_only_what_differs(file):
    record_run(file, run(1), A)
    record_run(file, run(2), B)
    # b and c have new versions, with one credit each; the cost of Search is new.
    assert counts(file) == {"report_runs": 2, "history_orders": 4, "history_credits": 5, "history_costs": 3}
    orders = {(row[1], row[2]): row[5:7] for row in rows_of(file, "history_orders")}
    assert orders == {("a", 100): (1, None), ("b", 10): (1, 1), ("b", 15): (2, None), ("c", 8): (2, None)}
    assert rows_of(file, "history_costs") == [
        ("Mail", "2023-09-02", 4.0, 1, 1),
        ("Search", "2023-09-01", 20.0, 1, 1),
        ("Search", "2023-09-01", 25.0, 2, None),
    ]


def reading(monkeypatch):
    """The versions whose credit is read, in the order of reading."""
    read, real = [], history._credits

    def noted(opened, orders):
        read.extend(orders["version"].tolist())
        return real(opened, orders)

    monkeypatch.setattr(history, "_credits", noted)
    return read


def test_only_the_credit_of_orders_that_differ_is_read(file, monkeypatch):
    first, second = record_run(file, run(1), A), record_run(file, run(2), A)
    read = reading(monkeypatch)
    assert_same_state(read_state(file, first, like=B), A)
    assert read == [2]  # b, which has another revenue in B; c is new
    record_run(file, run(3), B)
    assert_same_state(read_state(file, second, like=state()), A)
    assert read == [2, 2, 1, 2]


def test_the_changes_are_the_same_whether_credit_is_read_or_taken_from_the_later_state(file):
    other = B._replace(credits=B.credits.assign(ihc=[0.75, 0.25, 1.0, 1.0]))
    first, second = record_run(file, run(1), A), record_run(file, run(2), other)
    found = changes_since(file, first, second, other)
    expected = compare(read_state(file, first), other, first.window, second.window)
    for one, each in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, each, check_exact=True)


def test_orders_recorded_by_an_earlier_version_are_compared_row_by_row_once(database, monkeypatch):
    record_run(database, run(1), A)
    marks = {row[0]: row[7] for row in rows_of(database, "history_orders")}
    sql(database, "UPDATE history_orders SET credits = NULL")
    read = reading(monkeypatch)
    record_run(database, run(2), B)
    assert sorted(read) == [1, 2]
    found = {row[0]: row[7] for row in rows_of(database, "history_orders")}
    # a stays as it was; b is replaced by version 3, and c is version 4.
    assert found == {1: marks[1], 2: None, 3: marks[2], 4: found[4]}
    assert found[4] not in (None, *marks.values())
    record_run(database, run(3), B)
    assert sorted(read) == [1, 2]
    assert_same_state(read_state(database, recorded_runs(database)[0]), A)


def test_the_history_of_an_earlier_version_is_read_as_it_is(file):
    first = record_run(file, run(1), A)
    sql(file, "ALTER TABLE history_orders DROP COLUMN credits")
    assert_same_state(read_state(file, first), A)
    assert_same_state(read_state(file, first, like=A), A)
    create_tables(file)
    record_run(file, run(2), B)
    assert_same_state(read_state(file, recorded_runs(file)[1]), B)


def test_credit_that_differs_by_rounding_only_is_not_written(file):
    record_run(file, run(1), A)
    before = rows_of(file, "history_orders")
    record_run(file, run(2), A._replace(credits=A.credits.assign(ihc=A.credits["ihc"] + 1e-15)))
    assert rows_of(file, "history_orders") == before


def test_the_fingerprint_of_credit_depends_on_channel_day_and_share_and_not_on_the_order_of_rows():
    def mark(*credits):
        return history._marked(state([("a", 1)], [("a", *each) for each in credits])).orders["mark"].item()

    given = mark(("Search", 1, 0.5), ("Mail", 2, 0.5))
    assert mark(("Mail", 2, 0.5), ("Search", 1, 0.5)) == given
    others = [
        mark(("Search", 1, 0.25), ("Mail", 2, 0.75)),
        mark(("Social", 1, 0.5), ("Mail", 2, 0.5)),
        mark(("Search", 2, 0.5), ("Mail", 1, 0.5)),
        mark(("Search", 1, 0.5)),
        mark(),
    ]
    assert len({given, *others}) == 6
    assert history.UNMARKED not in others


def test_recording_a_run_again_replaces_its_record(database):
    record_run(database, run(1), A)
    alone = rows(database)
    record_run(database, run(2), B)
    once = rows(database)
    assert record_run(database, run(2), B).number == 2
    assert rows(database) == once
    again = record_run(database, run(2), A)
    assert_same_state(read_state(database, again), A)
    assert rows(database) == alone | {"report_runs": [*alone["report_runs"], *rows(database)["report_runs"][1:]]}
    assert_same_state(read_state(database, recorded_runs(database)[0]), A)


def test_the_first_run_can_be_recorded_again(file):
    record_run(file, run(1), A)
    assert_same_state(read_state(file, record_run(file, run(1), B)), B)
    assert counts(file)["report_runs"] == 1


def test_a_run_that_others_follow_is_recorded_again_after_them(file):
    for number, each in ((1, A), (2, B)):
        record_run(file, run(number), each)
    before = recorded_runs(file)
    # Twice, like a retried task: the second record replaces the first.
    for each in (B, A):
        again = record_run(file, run(1), each)
        assert (again.number, again.run_id) == (3, "run-1.3")
        assert_same_state(read_state(file, again), each)
        assert recorded_runs(file) == [*before, again]
    assert_same_state(read_state(file, before[0]), A)
    assert record_run(file, run(2), B).run_id == "run-2.4"
    assert record_run(file, run(1), B).run_id == "run-1.5"


WRITTEN = [("DELETE", "history_credits"), ("UPDATE", "history_costs"), ("INSERT", "report_runs")]


@pytest.mark.parametrize(("event", "table"), WRITTEN)
def test_an_interruption_while_recording_again_leaves_the_previous_state(file, event, table):
    record_run(file, run(1), A)
    record_run(file, run(2), B)
    before = rows(file)
    raise_at(file, f"AFTER {event}", table, "stopped")
    with pytest.raises(DatabaseError, match="stopped"):
        record_run(file, run(2), state([("a", 1)], [("a", "Mail", 2, 1.0)], [("Search", 1, 9.0)]))
    assert rows(file) == before


def test_ids_and_names_are_only_data_and_fingerprints_of_any_size_are_kept(database):
    names = [*UNTRUSTED, "x'; DROP TABLE history_orders; --", ""]
    made = state(
        [(f"{name}#", 1.0, (2**63 - 1, -(2**63))[place % 2]) for place, name in enumerate(names)],
        [(f"{name}#", name, 1, 1.0) for name in names],
        [(name, 1, 2.0) for name in names],
    )
    assert_same_state(read_state(database, record_run(database, run(1), made)), made)
    dearer = made._replace(costs=made.costs.assign(cost=3.0))
    assert_same_state(read_state(database, record_run(database, run(2), dearer)), dearer)


def test_the_input_and_result_tables_are_left_alone(file):
    for table in ("conversions", "session_sources", "session_costs", "channel_reporting", "attribution_runs"):
        for event in ("INSERT", "UPDATE", "DELETE"):
            raise_at(file, f"BEFORE {event}", table, "no")
    record_run(file, run(1), A)
    assert counts(file)["report_runs"] == 1


def test_runs_are_listed_from_the_first_to_the_last_with_their_roas(file):
    assert list_runs(file).empty
    record_run(file, run(1), A)
    record_run(file, run(2, end_date="2023-09-02"), A._replace(costs=A.costs.iloc[:0]))
    found = list_runs(file)
    assert found["run_id"].tolist() == ["run-1", "run-2"]
    assert found["end_date"].tolist() == ["", "2023-09-02"]
    assert found["ROAS"].iloc[0] == pytest.approx(110 / 24)
    assert pd.isna(found["ROAS"].iloc[1])
    assert found.columns.tolist() == [*HISTORY["report_runs"], "ROAS"]


def test_a_database_that_never_recorded_anything_has_no_runs_and_gets_no_tables(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    assert recorded_runs(Database(path)) == []
    assert list_runs(Database(path)).empty
    with pytest.raises(InputError, match=r"empty\.db has no recorded runs yet: `ihc run` records one"):
        find_run(Database(path), "1")
    assert path.read_bytes() == b""


def test_a_run_is_found_by_id_or_number_or_refused_with_the_closest_id(file):
    first, second = record_run(file, run(1), A), record_run(file, Run("1", *list(vars(run(2)).values())[1:]), A)
    assert find_run(file, "run-1") == first
    assert find_run(file, "2") == find_run(file, "1") == second  # an id takes precedence over a number
    refusals = {"run-11": r"Run 'run-11' not found in .*: did you mean run-1\? `ihc runs` lists all runs"}
    refusals |= {"7": "Run '7' not found in .*: `ihc runs` lists all runs", "": "Run '' not found"}
    for name, says in refusals.items():
        with pytest.raises(InputError, match=says):
            find_run(file, name)


def test_the_previous_run_is_the_one_recorded_before(file):
    recorded = [record_run(file, run(number), A) for number in (1, 2, 3)]
    assert previous_run(file, recorded[0]) is None
    assert previous_run(file, recorded[2]) == recorded[1]


def test_a_run_may_be_seen_over_the_dates_of_another(file):
    first, second = record_run(file, run(1), A), record_run(file, run(2, start_date="2023-09-02"), B)
    seen = over_dates_of(second, first)
    assert (seen.number, seen.window) == (1, second.window)
    total = changes_since(file, seen, second, B).channels.iloc[-1]
    assert total["other_dates"] == 0
    # Of A on the second day: half of a, 50, and all of b, 10.
    assert total["ihc_revenue_before"] == 60
    assert over_dates_of(second, None) is None


def test_a_run_that_only_reports_is_compared_with_the_last_one_and_not_recorded(file):
    assert previous_run(file, unrecorded_run(file, run(9), A)) is None
    first = record_run(file, run(1), A)
    report = unrecorded_run(file, run(2), B)
    assert (report.number, report.recorded_at, report.cost) == (2, "", record_run(file, run(2), B).cost)
    assert previous_run(file, unrecorded_run(file, run(3), A)) != first
    assert [each.run_id for each in recorded_runs(file)] == ["run-1", "run-2"]


def test_a_run_is_compared_with_one_before_it_each_over_its_own_dates(file):
    first = record_run(file, run(1), A)
    second = record_run(file, run(2, start_date="2023-09-02"), B)
    total = changes_since(file, first, second, B).channels.iloc[-1]
    assert total["ihc_revenue_before"] == first.ihc_revenue
    assert total["ihc_revenue_after"] == second.ihc_revenue
    # a's 50 and c's 8 of 1 September are no longer reported; b has 5 more.
    assert total[["other_dates", "revenue_corrected"]].tolist() == [-50, 5]


def test_the_first_run_differs_from_nothing(file):
    first = record_run(file, run(1), A)
    assert [len(frame) for frame in changes_since(file, None, first, A)] == [0, 0]


def test_a_database_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match="does not exist"):
        recorded_runs(Database(tmp_path / "nothing.db"))
