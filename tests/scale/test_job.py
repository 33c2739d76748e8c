import json
import shutil
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from dask.distributed import Client
from helpers.frames import FIXED, clock_change, curves_of, shops, shops_with_refunds, shops_without_some_users, windows
from helpers.scaling import GIVES, TIES, assert_same_as_in_one_pass, workers_here, written
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.database.inputs import read_tables
from ihc.errors import InputError, ScaleError
from ihc.models.parameters import load_parameters
from ihc.report.files import csv_bytes
from ihc.scale.job import COUNTING, STAGES, Job, scale
from ihc.scale.output import SCRATCH, open_output
from ihc.scale.parts import Plan
from ihc.scale.shuffle import read_parts
from ihc.schemas.tables import Tables, check_tables

ASKED = Plan(load_parameters())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A worker in this process; separate processes are tested elsewhere."""
    with workers_here() as client:
        yield client


def files_of(output):
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.slow
@settings(FIXED, max_examples=8)
@given(
    st.one_of(shops(), shops_with_refunds(), shops_without_some_users()),
    windows(),
    st.sampled_from([None, 1.0, 3.0]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([None, GIVES]),
    st.booleans(),
)
def test_any_shop_in_any_number_of_parts_equals_a_single_pass(
    client, tmp_path_factory, shop, window, lookback, parts, files, rules, restart
):
    folder = tmp_path_factory.mktemp("shop")
    shop = written(folder / "in", shop, files)
    asked = Plan(curves_of(), rules, *window, lookback, restart_after_order=restart)
    found = scale(client, shop.job(folder / "out", parts, asked))
    assert_same_as_in_one_pass(folder / "out", found.reports, shop.read(), asked)


def test_the_sample_shop_equals_a_single_pass_and_its_files_hold_the_tables(client, shop, tmp_path):
    folder = written(tmp_path / "in", read_tables(shop), files=1)
    asked = Plan(load_parameters(), GIVES, "2025-03-05", "2025-03-20", 14.0)
    found = scale(client, folder.job(tmp_path / "out", 3, asked, journeys=True))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), asked)
    for name, table in found.reports._asdict().items():
        assert (tmp_path / "out" / f"{name}.csv").read_bytes() == csv_bytes(table)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{name}.csv" for name in found.reports._fields), "credits", "journeys", "outcomes", "scale.json"]
    )
    assert len(list((tmp_path / "out" / "credits").iterdir())) == 3
    about = json.loads((tmp_path / "out" / "scale.json").read_text())
    assert about["parts"] == 3
    assert about["rows"]["conversions"] == 200
    assert about["parameters"] == load_parameters().label


def _times(column):
    return pc.strptime(
        pc.binary_join_element_wise("1970-01-01", column.cast(pa.string()), " "), "%Y-%m-%d %H:%M:%S", "us"
    ).cast(pa.time32("s"), safe=False)


# Other column types.
CASTS = {
    "session_id": lambda column: column.cast(pa.string()),
    "user_id": lambda column: column.dictionary_encode(),
    "channel_name": lambda column: column.dictionary_encode(),
    "event_date": lambda column: column.cast(pa.date32()),
    "event_time": _times,
    "conv_date": lambda column: column.cast(pa.timestamp("ns")),
    "holder_engagement": lambda column: column.cast(pa.bool_()),
    "revenue": lambda column: column.cast(pa.decimal128(12, 3)),
    "cost": lambda column: column.cast(pa.decimal128(12, 3)),
}


@pytest.fixture(scope="module")
def ties(client, tmp_path_factory):
    """A shop with ties, NULL costs, untracked orders and stray costs, its first run and the output folder."""
    folder = written(tmp_path_factory.mktemp("ties") / "in", TIES, casts=CASTS)
    output = folder.path.parent / "out"
    return folder, output, scale(client, folder.job(output, 2, ASKED, journeys=True))


def test_ties_null_costs_untracked_orders_and_strays_in_other_types_equal_a_single_pass(ties):
    _, output, found = ties
    assert_same_as_in_one_pass(output, found.reports, TIES, ASKED)
    assert found.failed == 0
    assert "Markov" in found.reports.model_comparison
    strays = found.reports.reconciliation.set_index("line").loc["less: cost whose session does not exist"]
    assert strays[["count", "amount"]].tolist() == [-1, -5]


def test_columns_in_utc_give_the_order_of_time_and_belong_to_both_tables(client, tmp_path):
    visits, orders = clock_change()
    prices = TIES.costs.iloc[:0]
    folder = written(tmp_path / "in", (visits, orders, prices))
    found = scale(client, folder.job(tmp_path / "out", 2, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)
    assert sorted(pd.read_parquet(tmp_path / "out" / "credits")["session_id"]) == ["a", "c"]
    half = written(tmp_path / "half", (visits, orders.drop(columns="conv_utc"), prices))
    with pytest.raises(InputError, match="Table session_sources has the column event_utc"):
        scale(client, half.job(tmp_path / "none", 2, ASKED))


def test_a_run_after_a_partly_published_one_gives_the_same_files(client, ties, tmp_path):
    folder, first, _ = ties
    output = shutil.copytree(first, tmp_path / "out")
    shutil.copy(output / "credits" / "part-00000.parquet", output / "credits" / "part-00009.parquet")
    (output / "outcomes" / "part-00000.parquet").unlink()
    (output / SCRATCH).mkdir()
    (output / "scale.json").rename(output / SCRATCH / "scale.json")
    scale(client, folder.job(output, 2, ASKED))
    kept = {path: content for path, content in files_of(first).items() if path.parts[0] != "journeys"}
    assert files_of(output) == kept


def test_empty_tables_equal_a_single_pass(client, tmp_path):
    folder = written(tmp_path / "in", [frame.iloc[:0] for frame in TIES], files=1)
    found = scale(client, folder.job(tmp_path / "out", 1, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)


def assert_refused_in_the_same_words(client, tables, tmp_path):
    """The message is that of a single pass, and nothing is written."""
    folder = written(tmp_path / "in", tables)
    with pytest.raises(InputError) as expected:
        check_tables(*folder.read())
    with pytest.raises(InputError) as found:
        scale(client, folder.job(tmp_path / "out", 2, ASKED))
    assert str(found.value) == str(expected.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_unfit_tables_are_refused_in_the_same_words_and_nothing_is_written(client, tmp_path):
    visits = TIES.sessions.assign(
        event_date=["2023-02-30", "2023-09-01", "", "2023-09-02", "2023-09-02"],
        event_time=["10:00:00", "25:00:00", "10:00:00", "10:00:00", "x"],
        holder_engagement=[2, 0, 1, 1, 7],
        user_id=["u", None, "u", "v", "w"],
    )
    tables = Tables(
        pd.concat([visits, TIES.sessions.iloc[3:4].assign(user_id="other")]),
        TIES.conversions.assign(revenue=[1e15, 1.0, float("inf"), 2.0], conv_id=["l", None, "l", "early"]),
        TIES.costs.assign(cost=[-1.0, None, 2.0, 1e16, 3.0], session_id=["a", "b", "a", "gone", "e"]),
    )
    assert_refused_in_the_same_words(client, tables, tmp_path)


def test_a_key_in_two_files_is_refused_in_the_same_words(client, tmp_path):
    tables = TIES._replace(conversions=TIES.conversions.assign(conv_id=["l", "k", "k", "early"]))
    assert_refused_in_the_same_words(client, tables, tmp_path)


def test_tables_that_were_mended_since_they_were_refused_are_said_to_have_changed(client, tmp_path):
    folder = written(tmp_path / "in", TIES._replace(conversions=TIES.conversions.assign(conv_id="k")))

    def mend(stage, done, total):
        if stage == COUNTING and done == 0:
            shutil.rmtree(tmp_path / "in")
            written(tmp_path / "in", TIES)

    with pytest.raises(InputError, match="have changed since: run the same command again"):
        scale(client, folder.job(tmp_path / "out", 2, ASKED), mend)


def test_another_file_system_gets_the_same_results_and_keeps_no_scratch_folder(client, ties):
    folder, _, expected = ties
    output = open_output("memory://elsewhere")
    found = scale(client, Job(folder.files(), ASKED, output, 2))
    for table, other in zip(found.reports, expected.reports, strict=True):
        pd.testing.assert_frame_equal(table, other)
    assert sorted(output.ls("", detail=False)) == sorted(
        [*(f"{name}.csv" for name in found.reports._fields), "credits", "outcomes", "scale.json"]
    )


def test_small_files_are_read_together(client, tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.scale.job.AT_A_TIME", 3)
    folder, totals = written(tmp_path / "in", TIES, files=4), {}

    def note(stage, done, total):
        totals[stage] = total

    found = scale(client, folder.job(tmp_path / "out", 2, ASKED), note)
    assert totals[STAGES[1]] == 2 + 2 + 2  # five sessions, four orders and five costs, three at a time
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)


def test_rows_that_get_lost_between_files_and_parts_stop_the_run(client, tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.scale.shuffle.read_parts", lambda *given: read_parts(*given).iloc[1:])
    with pytest.raises(ScaleError, match=r"The files have 5, 4, 5 rows of .*, but \d, \d, \d arrived in the parts"):
        scale(client, written(tmp_path / "in", TIES).job(tmp_path / "out", 1, ASKED))
    assert list((tmp_path / "out").iterdir()) == []


def test_files_deleted_during_the_run_end_it_with_a_message(client, tmp_path):
    folder = written(tmp_path / "in", TIES)

    def take_away(stage, done, total):
        if stage == STAGES[1] and done == 0:
            (tmp_path / "in" / "costs" / "1.parquet").unlink()

    with pytest.raises((ScaleError, InputError), match=r"cannot be read|could not be read"):
        scale(client, folder.job(tmp_path / "out", 2, ASKED), take_away)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_the_tables_are_those_of_a_whole_run(client, finished, tmp_path):
    folder = written(tmp_path / "in", read_tables(finished.database))
    scale(client, folder.job(tmp_path / "out", 4, ASKED))
    for name in ("channel_reporting", "channel_summary", "model_comparison", "reconciliation"):
        assert (tmp_path / "out" / f"{name}.csv").read_bytes() == (finished.output / f"{name}.csv").read_bytes()
