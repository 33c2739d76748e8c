"""Separate worker processes that are killed, and interrupted runs."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from dask.distributed import Client, LocalCluster
from helpers.scaling import assert_same_as_in_one_pass, written

from ihc.errors import ScaleError
from ihc.models.parameters import load_parameters
from ihc.pipeline.sample import make_sample
from ihc.scale.job import STAGES, scale
from ihc.scale.output import KEYS, SCRATCH
from ihc.scale.parts import Plan

ASKED = Plan(load_parameters())
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("large") / "in", make_sample(1_000, 3), files=6, row_group_size=500)


def files_of(output):
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes; one that is killed is started again."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def client(cluster):
    cluster.wait_for_workers(2, timeout=60)
    return cluster


@pytest.fixture(scope="module")
def undisturbed(folder, cluster, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    found = scale(cluster, folder.job(output, 4, ASKED))
    assert_same_as_in_one_pass(output, found.reports, folder.read(), ASKED)
    return files_of(output)


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_in_any_stage_changes_nothing(folder, undisturbed, client, tmp_path, stage):
    killed, pids = [], list(client.run(os.getpid).values())

    def kill(now, done, total):
        if now == stage and done >= min(1, total - 1) and not killed:
            os.kill(pids[0], signal.SIGKILL)
            killed.append(done)

    scale(client, folder.job(tmp_path / "out", 4, ASKED), kill)
    assert killed
    assert files_of(tmp_path / "out") == undisturbed


def test_workers_that_die_repeatedly_are_reported(folder, client, tmp_path, monkeypatch):
    monkeypatch.setattr("ihc.scale.job.layout_of", _die)
    with pytest.raises(ScaleError, match=r"Reading files: 4 workers died on the same part, .*Increase --partitions"):
        scale(client, folder.job(tmp_path / "out", 3, ASKED))
    assert list((tmp_path / "out").iterdir()) == []


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def started(folder, output, *options, **environment):
    command = [sys.executable, "-m", "ihc", "scale", *folder.options(), "--output", str(output), *options]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )


def wait_for(condition, process):
    while process.poll() is None and not condition():
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_what_was_there_and_no_process(folder, undisturbed, tmp_path, how):
    output = tmp_path / "out"
    (output / "credits").mkdir(parents=True)
    (output / "credits" / "part-00000.parquet").write_bytes(b"of an earlier run")
    (output / "scale.json").write_text(json.dumps(dict.fromkeys(KEYS)))
    before = files_of(output)
    process = started(folder, output, "--partitions", "30")
    wait_for(lambda: any(output.glob(f"{SCRATCH}*/credits/*.parquet")), process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted. Nothing in {output} was changed" in said
    assert "Traceback" not in said
    assert files_of(output) == before
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_a_run_that_is_killed_is_finished_by_running_it_again(folder, undisturbed, tmp_path):
    output = tmp_path / "out"
    process = started(folder, output, "--partitions", "30")
    wait_for(lambda: any(output.glob(f"{SCRATCH}*/credits/*.parquet")), process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    psutil.wait_procs(children, timeout=30)
    assert not (output / "credits").exists()
    assert list(output.glob(f"{SCRATCH}*"))
    again = started(folder, output, "--partitions", "4")
    _, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert files_of(output) == undisturbed
