"""A run: check everything, execute the notebooks in order through papermill, export the page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pandas as pd
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from ihc import errors
from ihc.connection import database_file
from ihc.credits import provenance, vanished
from ihc.database import check_writable, create_tables, read_results, read_tables, shipped
from ihc.environment import masked
from ihc.errors import ApiStoppedError, NotebookError, SettingsError
from ihc.ledger import requests_of
from ihc.locking import one_run_at_a_time
from ihc.narrative import left_out_sentence
from ihc.outputs import read_csv, try_folder, write_text
from ihc.page import report_page
from ihc.sample import prepare
from ihc.settings import Settings, kernel_environment, lock_file

NOTEBOOKS = (
    *("01_check_data", "02_build_journeys", "03_attribute"),
    *("04_channel_report", "05_compare_models", "06_engine_parameters"),
)
FILES = (
    *("channel_reporting.csv", "channel_summary.csv", "reconciliation.csv", "orders_without_credit.csv", "run.json"),
    *("model_comparison.csv", "channel_scores.csv", "channel_impact.csv", "credit_distribution.csv"),
    "explained_order.csv",
)
PAGE_OF = ("04_channel_report", "01_check_data", "05_compare_models", "06_engine_parameters")
LONGEST_SOCKET = 80  # a socket's path has some 100 characters at most

Say = Callable[[str], object]


@dataclass(frozen=True)
class RunResult:
    """What a run wrote and found: files, reconciliation, summary, the credits' sources, what is left out.

    `ends`: `conv_id, outcome, reason` of the run's orders; `asked`: what was asked of the API, empty if nothing.
    """

    files: list[Path]
    reconciliation: pd.DataFrame
    summary: pd.DataFrame
    sources: pd.DataFrame
    left_out: str
    ends: pd.DataFrame
    asked: dict[str, int]


def check(settings: Settings) -> None:
    """Refuse what cannot work before anything is written; raises the IhcError that says what and where."""
    _ = settings.source
    if not settings.is_sample or database_file(settings.database).exists():
        read_tables(settings.database)
        check_writable(settings.database)
    _check_output(settings.output)


def _check_output(output: Path) -> None:
    try:
        for folder in (output, output / "charts", output / "runs"):
            try_folder(folder)
    except OSError as error:
        raise SettingsError(f"The output folder {output} cannot be written: {error.strerror}.") from None


def run(settings: Settings, say: Say = print, on_start: Say = lambda name: None) -> RunResult:
    """Run everything end to end.

    `say` prints a line; `on_start` is told the name of each notebook that begins.

    Raises IhcError: refused before anything was written, or NotebookError for a notebook that failed.
    """
    check(settings)
    with one_run_at_a_time(settings, say) as lock:
        prepare(settings, say)
        create_tables(settings.database)
        executed = {}
        for name in NOTEBOOKS:
            on_start(name)
            executed[name] = _execute(name, settings, lock, say)
        page = report_page({name: executed[name] for name in PAGE_OF}, "Channel report")
        report = write_text(masked(page, settings.secrets), settings.output / "report.html")
        return _result(settings, [report, *executed.values()])


def _result(settings: Settings, files: list[Path]) -> RunResult:
    output = settings.output
    results = read_results(settings.database)
    ends = results.outcomes[results.outcomes["run_id"] == settings.run_id]
    return RunResult(
        files=[*(output / name for name in FILES), *sorted((output / "charts").iterdir()), *files],
        reconciliation=read_csv(output / "reconciliation.csv"),
        summary=read_csv(output / "channel_summary.csv"),
        sources=provenance(results.outcomes),
        left_out=left_out_sentence(vanished(results.runs, settings.run_id), results.unsound),
        ends=ends[["conv_id", "outcome", "reason"]],
        asked=requests_of(settings.database, settings.run_id) if settings.account else {},
    )


def notebook_parameters(settings: Settings) -> dict[str, Any]:
    """The parameters of a run's notebooks; a database URL is left to the environment, as it may hold a password."""
    return {
        "database": "" if "://" in settings.database else settings.database,
        "output": str(settings.output),
        "start_date": settings.start_date or "",
        "end_date": settings.end_date or "",
        "lookback_days": settings.lookback_days,
        "engine": settings.engine,
        "conv_type_id": settings.conv_type_id or "",
        "parameters": str(settings.parameters or ""),
        "redistribution": str(settings.redistribution or ""),
        "refresh": settings.refresh,
        "max_requests": settings.max_requests,
    }


class _Forward:
    """Takes what a notebook prints and says it line by line."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, text: str) -> None:
        """Say each line."""
        for line in filter(str.strip, text.splitlines()):
            self._say(line)

    def flush(self) -> None:
        """Nothing is held back."""


def _execute(name: str, settings: Settings, lock: IO[str] | None, say: Say) -> Path:
    target = settings.output / "runs" / settings.run_id / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (target.parent / "kernels.log").open("ab") as log, TemporaryDirectory(prefix="ihc-") as sockets:
            launch = {"env": kernel_environment(settings, lock_file(settings)), "stderr": log}
            launch |= {"pass_fds": [lock.fileno()] if lock and os.name == "posix" else []}
            papermill.execute_notebook(
                shipped("notebooks") / f"{name}.ipynb",
                target,
                parameters=notebook_parameters(settings),
                progress_bar=False,
                stdout_file=_Forward(say),
                cwd=str(target.parent),
                kernel_manager_class=_kernel_class(launch, sockets),
            )
    except (papermill.PapermillExecutionError, DeadKernelError) as error:
        where = f"Its cells, as far as they ran, are in {target}"
        failed = NotebookError(masked(f"Notebook {name}: {_reason(error)}\n{where}", settings.secrets))
        failed.waits = _is_stopped(error)
        raise failed from None
    finally:
        _mask_file(target, settings.secrets)
    return target


def _reason(error: Exception) -> str:
    if not isinstance(error, papermill.PapermillExecutionError):
        return "its kernel died, perhaps for want of memory."
    return str(error.evalue) if hasattr(errors, error.ename) else f"{error.ename}: {error.evalue}"


def _is_stopped(error: Exception) -> bool:
    kind = getattr(errors, getattr(error, "ename", ""), Exception)
    return issubclass(kind, ApiStoppedError)


def _mask_file(path: Path, secrets: tuple[str, ...]) -> None:
    if secrets and path.exists():
        text = path.read_text("utf-8")
        write_text(masked(text, [json.dumps(secret)[1:-1] for secret in secrets]), path)


def _kernel_class(launch: dict[str, Any], sockets: str) -> type[AsyncKernelManager]:
    """A kernel manager that starts this very Python.

    In: how to `launch` it: with the run's environment, its lock, and a log for its noise; a folder for its `sockets`.
    """

    class Kernel(AsyncKernelManager):  # type: ignore[misc]  # jupyter_client is not typed
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # Newer kernels warn, without it, that others on the machine could listen.
            if self.has_trait("transport_encryption"):
                self.transport_encryption = "auto"
            # Ports are looked for first and taken later, so that two runs at once could take the same; files are not.
            if os.name == "posix" and len(sockets) < LONGEST_SOCKET:
                self.transport, self.ip = "ipc", f"{sockets}/kernel"

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

        async def _async_pre_start_kernel(self, **options: Any) -> Any:
            return await super()._async_pre_start_kernel(**options | launch)

    return Kernel
