"""The Dask cluster that does the work: one that is there already, or workers on this machine for the time of a job."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import dask
from dask.distributed import Client, LocalCluster
from fsspec.implementations.dirfs import DirFileSystem

from ihc import __version__
from ihc.errors import ScaleError, why
from ihc.formatting import some

SECONDS = 10  # within which a scheduler must answer, and have a worker


@contextmanager
def connected(scheduler: str | None, memory: str | None = None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of workers of its own: one a core, each with so much `memory`.

    Raises ScaleError where the scheduler does not answer within some seconds, or has no worker.
    """
    # What a dying worker or scheduler leaves in the logs is said by the job, where it matters.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler:
        with _remote(scheduler) as client:
            yield client
        return
    with (
        dask.config.set({"distributed.scheduler.dashboard.status.task-stream-length": 0}),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # another port for the dashboard, where its own is taken
        with (
            LocalCluster(threads_per_worker=1, memory_limit=memory or "auto", silence_logs=logging.CRITICAL) as cluster,
            Client(cluster) as client,
        ):
            yield client


@contextmanager
def _remote(scheduler: str) -> Iterator[Client]:
    try:
        client = Client(scheduler, timeout=SECONDS)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ScaleError(
            f"The scheduler {scheduler} did not answer within {SECONDS} s ({why(error)}): "
            "check the address, like tcp://10.0.0.1:8786, and that it is running."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            raise ScaleError(
                f"The scheduler {scheduler} has no worker: start some with `dask worker {scheduler}`."
            ) from None
        yield client


def dashboard(client: Client) -> str | None:
    """Where the work can be watched; None where Bokeh, which draws it, is missing here."""
    return client.dashboard_link if find_spec("bokeh") else None


def check_workers(client: Client, output: DirFileSystem) -> None:
    """See that each worker has this `ihc` and sees the output's folder; raises ScaleError."""
    output.pipe_file(seen := f".seen-{uuid4().hex}", b"")
    try:
        versions = _ask(client, _version)
        sees = _ask(client, output.exists, seen)
    finally:
        output.rm(seen)
    if wrong := sorted({str(version) for version in versions.values() if version != __version__}):
        raise ScaleError(f"Workers have ihc {some(wrong)}, and here it is {__version__!r}: install the same on all.")
    if blind := [worker for worker, does in sees.items() if not does]:
        raise ScaleError(
            f"Workers do not see the folder {output.path} ({some(blind)}): give an --output that all machines share."
        )


def _version() -> str:
    from ihc import __version__ as found

    return found


def _ask(client: Client, function: Any, *arguments: Any) -> dict[str, Any]:
    try:
        answers: dict[str, Any] = client.run(function, *arguments)
    except Exception as error:  # whatever a worker's Python raises
        first_line = str(error).strip().partition("\n")[0]
        raise ScaleError(
            f"A worker cannot do the work ({type(error).__name__}: {first_line}): install on each worker "
            "pip install 'ihc-attribution[dask]', of the same version as here."
        ) from None
    return answers
