import json
import shutil
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from dask.distributed import Client, LocalCluster
from helpers.frames import FIXED, costs, curves_of, shops, shops_with_refunds, windows
from helpers.scaling import GIVES, TIES, assert_same_as_in_one_pass, in_one_pass, written
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.database.inputs import read_tables
from ihc.errors import InputError, ScaleError
from ihc.models.parameters import load_parameters
from ihc.report.files import csv_bytes
from ihc.scale.job import PUBLISHING, STAGES, scale
from ihc.scale.output import SCRATCH
from ihc.scale.parts import Asked
from ihc.schemas.tables import Tables, check_tables

ASKED = Asked(load_parameters())


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Workers in this process: what a process of its own changes is tested apart."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@settings(FIXED, max_examples=8)
@given(
    st.one_of(shops(), shops_with_refunds()),
    windows(),
    st.sampled_from([None, 1.0, 3.0]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([None, GIVES]),
)
def test_any_shop_in_any_number_of_parts_is_as_in_one_pass(
    client, tmp_path_factory, shop, window, lookback, parts, files, rules
):
    folder = tmp_path_factory.mktemp("shop")
    shop = written(folder / "in", shop, files)
    asked = Asked(curves_of(), rules, *window, lookback)
    found = scale(client, shop.job(folder / "out", parts, asked))
    assert_same_as_in_one_pass(folder / "out", found.reports, shop.read(), asked)


@pytest.mark.parametrize("parts", [1, 16])
def test_the_sample_shop_is_as_in_one_pass_and_its_files_hold_the_tables(client, shop, tmp_path, parts):
    folder = written(tmp_path / "in", read_tables(shop), files=3, row_group_size=100)
    asked = Asked(load_parameters(), None, "2025-03-05", "2025-03-20", 14.0)
    found = scale(client, folder.job(tmp_path / "out", parts, asked, journeys=True))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), asked)
    for name, table in found.reports._asdict().items():
        assert (tmp_path / "out" / f"{name}.csv").read_bytes() == csv_bytes(table)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{name}.csv" for name in found.reports._fields), "credits", "journeys", "outcomes", "scale.json"]
    )
    assert len(list((tmp_path / "out" / "credits").iterdir())) == parts
    about = json.loads((tmp_path / "out" / "scale.json").read_text())
    assert about["parts"] == parts
    assert about["rows"]["conversions"] == 200
    assert about["parameters"] == load_parameters().label


def test_the_real_shop_is_as_in_one_pass(client, real_database, tmp_path):
    folder = written(tmp_path / "in", read_tables(real_database), files=4, row_group_size=5_000)
    raw = folder.read()
    for parts in (1, 7):
        found = scale(client, folder.job(tmp_path / f"out{parts}", parts, ASKED))
        assert_same_as_in_one_pass(tmp_path / f"out{parts}", found.reports, raw, ASKED)


@pytest.mark.parametrize("parts", [1, 9])
def test_ties_null_costs_lonely_orders_and_strays_are_as_in_one_pass(client, tmp_path, parts):
    folder = written(tmp_path / "in", TIES)
    found = scale(client, folder.job(tmp_path / "out", parts, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)
    assert found.failed == 0
    strays = found.reports.reconciliation.set_index("line").loc["less: cost whose session does not exist"]
    assert strays[["count", "amount"]].tolist() == [-1, -5]


@pytest.mark.parametrize("empty", [("sessions",), ("conversions",), ("costs",), ("sessions", "conversions", "costs")])
def test_tables_without_rows_are_as_in_one_pass(client, tmp_path, empty):
    tables = TIES._replace(**{name: getattr(TIES, name).iloc[:0] for name in empty})
    folder = written(tmp_path / "in", tables)
    found = scale(client, folder.job(tmp_path / "out", 3, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)


def _times(column):
    return pc.strptime(
        pc.binary_join_element_wise("1970-01-01", column.cast(pa.string()), " "), "%Y-%m-%d %H:%M:%S", "us"
    ).cast(pa.time32("s"), safe=False)


CASTS = {
    "strings": {
        "session_id": lambda column: column.cast(pa.string()),
        "user_id": lambda column: column.cast(pa.large_string()),
    },
    "dictionaries": dict.fromkeys(
        ["session_id", "user_id", "channel_name", "event_date", "conv_id"], lambda column: column.dictionary_encode()
    ),
    "dates and times": dict.fromkeys(["event_date", "conv_date"], lambda column: column.cast(pa.date32()))
    | dict.fromkeys(["event_time", "conv_time"], _times),
    "timestamps": dict.fromkeys(["event_date", "conv_date"], lambda column: column.cast(pa.timestamp("ns"))),
    "other numbers": dict.fromkeys(["holder_engagement", "closer_engagement"], lambda column: column.cast(pa.bool_()))
    | {
        "revenue": lambda column: column.cast(pa.decimal128(12, 3)),
        "cost": lambda column: column.cast(pa.decimal128(12, 3)),
    },
}


@pytest.mark.parametrize("casts", CASTS.values(), ids=CASTS)
def test_columns_of_other_types_give_the_same(client, tmp_path, casts):
    folder = written(tmp_path / "in", TIES, casts=casts)
    found = scale(client, folder.job(tmp_path / "out", 3, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, TIES, ASKED)


UNFIT = {
    "a session of two users": TIES._replace(
        sessions=pd.concat([TIES.sessions, TIES.sessions.iloc[:1].assign(user_id="other"), TIES.sessions.iloc[3:4]])
    ),
    "an order twice": TIES._replace(
        conversions=pd.concat([TIES.conversions, TIES.conversions.iloc[[1]].assign(user_id="far")])
    ),
    "a cost twice": TIES._replace(costs=pd.concat([TIES.costs, TIES.costs.iloc[[3, 0]]])),
    "no keys": TIES._replace(sessions=TIES.sessions.assign(session_id=[None, "a", None, "d", "a"])),
    "no user": TIES._replace(sessions=TIES.sessions.assign(user_id=["u", None, "u", "v", "w"])),
    "wrong values everywhere": Tables(
        TIES.sessions.assign(
            event_date=["2023-02-30", "2023-09-01", "", "2023-09-02", "2023-09-02"],
            event_time=["10:00:00", "25:00:00", "10:00:00", "10:00:00", "x"],
            holder_engagement=[2, 0, 1, 1, 7],
        ),
        TIES.conversions.assign(revenue=[1e15, 1.0, float("inf"), 2.0], conv_id=["l", "l", "l", "early"]),
        TIES.costs.assign(cost=[-1.0, None, 2.0, 1e16, 3.0], session_id=["a", "b", "a", "gone", "e"]),
    ),
    "many": TIES._replace(costs=costs([(f"s{number % 30}", -1.0) for number in range(60)])),
}  # fmt: skip


@pytest.mark.parametrize("tables", UNFIT.values(), ids=UNFIT)
def test_unfit_tables_are_refused_in_the_same_words_and_nothing_is_written(client, tmp_path, tables):
    folder = written(tmp_path / "in", tables)
    with pytest.raises(InputError) as expected:
        check_tables(*folder.read())
    with pytest.raises(InputError) as found:
        scale(client, folder.job(tmp_path / "out", 4, ASKED))
    assert str(found.value) == str(expected.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_second_run_gives_the_same_files_and_leaves_none_of_the_first(client, tmp_path):
    folder = written(tmp_path / "in", TIES)
    scale(client, folder.job(tmp_path / "out", 5, ASKED, journeys=True))
    scale(client, folder.job(tmp_path / "out", 2, ASKED))
    first = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert sum(path.suffix == ".parquet" for path in first) == 4  # credits and outcomes of two parts
    scale(client, folder.job(tmp_path / "out", 2, ASKED))
    assert {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == first
    assert not (tmp_path / "out" / "journeys").exists()


def test_results_that_cannot_get_their_names_are_said_and_the_next_run_puts_that_right(client, tmp_path):
    folder = written(tmp_path / "in", TIES)
    scale(client, folder.job(tmp_path / "out", 2, ASKED))
    job = folder.job(tmp_path / "out", 2, ASKED)

    def take_away(stage, done, total):
        if stage == PUBLISHING:
            shutil.rmtree(tmp_path / "out" / SCRATCH / "outcomes")

    with pytest.raises(ScaleError, match=r"could not all get their names .*not whole: run the same command again"):
        scale(client, job, take_away)
    assert not (tmp_path / "out" / "scale.json").exists()
    found = scale(client, folder.job(tmp_path / "out", 2, ASKED))
    assert_same_as_in_one_pass(tmp_path / "out", found.reports, folder.read(), ASKED)
    assert (tmp_path / "out" / "scale.json").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_more_channels_than_a_chain_may_have_leave_markov_out(client, tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.scale.parts.MOST_STATES", 3)
    monkeypatch.setattr("ihc.models.registry.MOST_STATES", 3)
    folder = written(tmp_path / "in", TIES)
    for parts in (1, 4):  # in four parts each has few channels, but not all together
        found = scale(client, folder.job(tmp_path / f"out{parts}", parts, ASKED))
        assert "Markov" not in found.reports.model_comparison
        assert_same_as_in_one_pass(tmp_path / f"out{parts}", found.reports, folder.read(), ASKED)


def test_one_pass_has_markov():
    assert "Markov" in in_one_pass(TIES, ASKED)[2].model_comparison


def test_files_that_go_away_meanwhile_end_the_run_with_a_sentence(client, tmp_path):
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
