"""`ihc scale` end to end, with different clusters."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import dask.dataframe as dd
import pandas as pd
import pytest
from dask.distributed import Client
from helpers.commands import ROOT, ihc, ihc_here
from helpers.scaling import TIES, assert_same_bits, in_one_pass, workers_here, written

from ihc.database.inputs import read_tables
from ihc.errors import ScaleError
from ihc.models.parameters import load_parameters
from ihc.report.files import csv_bytes
from ihc.scale import cluster
from ihc.scale.output import KEYS, SCRATCH, open_output
from ihc.scale.parts import Plan

GUIDE = (ROOT / "docs" / "guides" / "cluster.md").read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("shop") / "in", TIES)


@pytest.fixture(scope="module")
def client():
    with workers_here() as client:
        yield client


def test_the_example_in_the_readme_equals_a_single_pass(client, shop, tmp_path):
    (example,) = re.findall(r"```console\nuv run --extra dask ihc (scale .*?)```", GUIDE, re.DOTALL)
    folder = written(tmp_path / "in", read_tables(shop), files=1, row_group_size=1_000)
    (folder.path / "conversions" / "0.parquet").rename(folder.path / "conversions.parquet")
    options = shlex.split(example.replace("\\\n", " "))
    done = ihc_here(*options, "--scheduler", client.scheduler.address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    asked = Plan(load_parameters(), None, "2025-03-03", "2025-03-23")
    credits, _, reports = in_one_pass(read_tables(shop), asked)
    assert_same_bits(pd.read_parquet(tmp_path / "out" / "credits"), credits, ["conv_id", "session_id"])
    for name, table in reports._asdict().items():
        assert (tmp_path / "out" / f"{name}.csv").read_bytes() == csv_bytes(table)
        assert f"{name}.csv" in done.stdout
    assert re.search(r"1 worker; dashboard: http:", done.stderr)
    assert "Attributing: 1 of 1" in done.stderr
    assert "orders are credited" in done.stdout
    assert "Of the 8 channels" in done.stdout


def test_the_library_example_equals_a_single_pass():
    (example,) = re.findall(r"```pycon\n(.*?)```", GUIDE, re.DOTALL)
    known = {name: dd.from_pandas(frame, npartitions=2) for name, frame in TIES._asdict().items()}
    known["load_parameters"] = load_parameters
    *lines, last = [line.removeprefix(">>> ").replace("64", "3") for line in example.strip().splitlines()]
    exec("\n".join(lines), known)
    reporting = eval(last, known)
    expected = in_one_pass(TIES, Plan(load_parameters(), lookback_days=30))[2].channel_reporting
    pd.testing.assert_frame_equal(reporting, expected[list(reporting.columns)], check_exact=True)


def test_without_the_extra_it_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "ihc.scale.cluster")
    monkeypatch.setitem(sys.modules, "dask", None)
    done = ihc_here("scale", *folder.options(), "--output", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r"ihc: ihc scale needs the extra dask \(.*\): pip install 'ihc-attribution\[dask\]'\n", done.stderr
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--sessions", "nothing/*.parquet"], 1, r"--sessions nothing/\*\.parquet matches no file"),
        (["--costs", "s3://bucket/x"], 1, r"--costs s3://bucket/x cannot be read: Install s3fs"),
        (["--output", "/proc/nothing"], 1, "--output /proc/nothing cannot be written"),
        (["--parameters", "nothing.json"], 1, r"Parameters file .*/nothing\.json cannot be read"),
        (["--parameters", "a.json,lead=b.json"], 1, "has a file for a conversion type, but ihc scale uses one set"),
        (["--redistribution", "nothing.json"], 1, "The redistribution nothing.json cannot be read"),
        (["--start-date", "2023-09-02", "--end-date", "2023-09-01"], 1, "end_date 2023-09-01 is before start_date"),
        (["--scheduler", "nonsense"], 1, r"The scheduler nonsense did not answer within 10 s"),
        (["--lookback-days", "0"], 2, "Invalid value"),
        (["--partitions", "0"], 2, "Invalid value"),
    ],
)
def test_invalid_arguments_are_refused_in_a_sentence(folder, tmp_path, options, code, says):
    done = ihc_here("scale", *folder.options(), "--output", "out", *options, cwd=tmp_path)
    assert done.returncode == code
    assert re.search(says, done.stderr)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/*"))


def test_invalid_tables_are_refused_and_existing_results_stay(client, tmp_path):
    folder = written(tmp_path / "in", TIES._replace(costs=TIES.costs.assign(cost=-1.0)))
    (tmp_path / "out").mkdir()
    before = json.dumps(dict.fromkeys(KEYS))
    (tmp_path / "out" / "scale.json").write_text(before)
    options = [*folder.options(), "--output", "out", "--scheduler", client.scheduler.address]
    done = ihc_here("scale", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "\nihc: Table session_costs, column cost: -1.0 is negative in 5 rows" in done.stderr
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == [before]


@contextmanager
def running(*command, **environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
        cwd="/", env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def scheduler(tmp_path, free_port):
    with running("dask_scheduler", "--host", "127.0.0.1", "--port", str(free_port), "--no-dashboard"):
        address = f"tcp://127.0.0.1:{free_port}"
        Client(address, timeout=30).close()
        yield address


@pytest.fixture
def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
def test_an_existing_cluster_gives_the_same_files_as_local_workers(folder, tmp_path, scheduler):
    options = [*folder.options(), "--partitions", "3"]
    here = ihc("scale", *options, "--output", "here", cwd=tmp_path)
    assert here.returncode == 0, here.stderr
    with running("dask_worker", scheduler, "--no-dashboard", "--nthreads", "1"):
        there = ihc("scale", *options, "--output", "there", "--scheduler", scheduler, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")


def files_of(output: Path):
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_workers_without_the_package_are_told_what_to_install(folder, tmp_path, scheduler):
    (tmp_path / "stub" / "ihc").mkdir(parents=True)
    (tmp_path / "stub" / "ihc" / "__init__.py").write_text("raise ModuleNotFoundError('No module named ihc')")
    with running("dask_worker", scheduler, "--no-dashboard", PYTHONPATH=str(tmp_path / "stub")):
        done = ihc("scale", *folder.options(), "--output", "out", "--scheduler", scheduler, cwd=tmp_path)
    assert done.returncode == 1
    assert "A worker cannot run ihc" in done.stderr
    assert "pip install 'ihc-attribution[dask]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_scheduler_without_workers_is_reported(folder, tmp_path, scheduler):
    done = ihc("scale", *folder.options(), "--output", "out", "--scheduler", scheduler, cwd=tmp_path)
    assert done.returncode == 1
    assert f"The scheduler {scheduler} has no workers: start some with `dask worker {scheduler}`" in done.stderr


@pytest.mark.slow
def test_a_scheduler_that_dies_in_the_middle_ends_the_run_with_a_sentence(folder, tmp_path, free_port):
    address, output = f"tcp://127.0.0.1:{free_port}", tmp_path / "out"
    command = [sys.executable, "-m", "ihc", "scale", *folder.options(), "--output", str(output)]
    command += ["--partitions", "30", "--scheduler", address]
    with running("dask_scheduler", "--host", "127.0.0.1", "--port", str(free_port), "--no-dashboard") as scheduler:
        Client(address, timeout=30).close()
        with running("dask_worker", address, "--no-dashboard", "--nthreads", "1"):
            process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            while process.poll() is None and not any(output.glob(f"{SCRATCH}*/credits/*.parquet")):
                time.sleep(0.01)
            scheduler.kill()
            _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search("^ihc: .*: lost the connection to the scheduler", said.splitlines()[-1])
    assert "Traceback" not in said
    assert list(output.iterdir()) == []


def test_workers_of_another_version_are_refused(client, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    with pytest.raises(
        ScaleError, match=r"Workers have ihc '0\.2\.0', this machine has '9\.9\.9': install the same version everywhere"
    ):
        cluster.check_workers(client, open_output(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_workers_without_access_to_the_output_are_refused(client, tmp_path, monkeypatch):
    store = open_output(str(tmp_path / "out"))
    ask = cluster._ask
    monkeypatch.setattr(
        cluster, "_ask", lambda client, function, *of: {"tcp://x": False} if of else ask(client, function)
    )
    with pytest.raises(ScaleError, match=r"Workers cannot access the folder .*out .*'tcp://x'.*use a shared folder"):
        cluster.check_workers(client, store)


def test_the_dashboard_is_linked_if_bokeh_is_installed(client, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert cluster.dashboard(client) is None
    monkeypatch.setattr(cluster, "find_spec", lambda name: name)
    assert cluster.dashboard(client).startswith("http://")
