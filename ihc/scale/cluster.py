"""Connect to a Dask cluster, or start local workers for one job."""

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

SECONDS = 10  # timeout for the scheduler to answer and to have a worker


@contextmanager
def connected(scheduler: str | None, memory: str | None = None) -> Iterator[Client]:
    """A client of a scheduler, or of new local workers, one per core, each with this `memory`.

    Raises ScaleError if the scheduler does not answer in time or has no worker.
    """
    # The job reports lost workers and schedulers itself, so their log messages are hidden.
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
        warnings.simplefilter("ignore")  # about another dashboard port, if the default is in use
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
            "check that it is running and the address is like tcp://10.0.0.1:8786."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            raise ScaleError(
                f"The scheduler {scheduler} has no workers: start some with `dask worker {scheduler}`."
            ) from None
        yield client


def dashboard(client: Client) -> str | None:
    """The URL of the dashboard; None if Bokeh, which it needs, is not installed."""
    return client.dashboard_link if find_spec("bokeh") else None


def check_workers(client: Client, output: DirFileSystem) -> None:
    """Check that each worker has the same version of `ihc` and can access the output folder; raises ScaleError."""
    output.pipe_file(seen := f".seen-{uuid4().hex}", b"")
    try:
        versions = _ask(client, _version)
        sees = _ask(client, output.exists, seen)
    finally:
        output.rm(seen)
    if wrong := sorted({str(version) for version in versions.values() if version != __version__}):
        raise ScaleError(
            f"Workers have ihc {some(wrong)}, this machine has {__version__!r}: install the same version everywhere."
        )
    if blind := [worker for worker, does in sees.items() if not does]:
        raise ScaleError(
            f"Workers cannot access the folder {output.path} ({some(blind)}): use a shared folder or URL for --output."
        )


def _version() -> str:
    from ihc import __version__ as found

    return found


def _ask(client: Client, function: Any, *arguments: Any) -> dict[str, Any]:
    try:
        answers: dict[str, Any] = client.run(function, *arguments)
    except Exception as error:  # a worker may raise anything
        first_line = str(error).strip().partition("\n")[0]
        raise ScaleError(
            f"A worker cannot run ihc ({type(error).__name__}: {first_line}): run pip install 'ihc-attribution[dask]' "
            "on each worker, with the same version as here."
        ) from None
    return answers
