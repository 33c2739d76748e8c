"""The notebooks of a run, executed by papermill: each kernel one after the other, with a clean slate in between."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, v4
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from ihc import errors
from ihc.database.locks import Lock
from ihc.errors import ApiStoppedError, NotebookError
from ihc.report.files import write_text
from ihc.secrets import masked

NO_HISTORY = ["--HistoryManager.enabled=False"]  # cells of a run are no lines that the user has typed
LONGEST_SOCKET = 80  # a socket's path has some 100 characters at most


@contextmanager
def started(
    count: int, folder: Path, environment: Mapping[str, str], lock: Lock | None = None
) -> Iterator[list[AsyncKernelManager]]:
    """Start kernels in a folder, and end them at last.

    In: the whole `environment` of each, and the `lock` that each holds with its run. Their noise goes to `kernels.log`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "kernels.log").open("ab") as log, TemporaryDirectory(prefix="ihc-") as sockets:
        launch = {"env": dict(environment), "stderr": log, "cwd": str(folder)}
        launch |= {"pass_fds": [lock.fileno()] if lock and os.name == "posix" else []}
        managers = [_manager(launch, f"{sockets}/{number}") for number in range(count)]
        with ExitStack() as endings:
            for manager in managers:
                endings.callback(end, manager)
                run_sync(manager.start_kernel)(extra_arguments=NO_HISTORY)
            yield managers


def end(manager: AsyncKernelManager) -> None:
    """End a kernel, whatever it does."""
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


def _manager(launch: dict[str, Any], socket: str) -> AsyncKernelManager:
    """A kernel manager that starts this very Python.

    In: how to `launch` it: with the run's environment, its lock, and a log for its noise; where its sockets begin.
    """

    class Manager(AsyncKernelManager):  # type: ignore[misc]  # jupyter_client is not typed
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            # Newer kernels warn, without it, that others on the machine could listen.
            if self.has_trait("transport_encryption"):
                self.transport_encryption = "auto"
            # Ports are looked for first and taken later, so that two runs at once could take the same; files are not.
            if os.name == "posix" and len(socket) < LONGEST_SOCKET:
                self.transport, self.ip = "ipc", socket

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())

        async def _async_pre_start_kernel(self, **options: Any) -> Any:
            return await super()._async_pre_start_kernel(**options | launch)

    return Manager()


# A kernel's imports take longer than most notebooks, so notebooks share it; none sees the names of the one before.
ENGINE, SECONDS_BETWEEN_SAVES = "ihc", 2.0
CLEAN_SLATE = """
import gc
get_ipython().run_line_magic("reset", "-f")
get_ipython().execution_count = 1
# What is loaded by now stays; looking through it for garbage again and again would take a tenth of the time.
gc.freeze()
gc.set_threshold(100_000, 50, 100)
del gc
"""
WARM_UP = "import ihc.charts, ihc.database.results, ihc.report.figures, ihc.settings.run, ihc.report.tables"
Say = Callable[[str], object]
Chain = Sequence[str]


@dataclass(frozen=True)
class Desk:
    """What the notebooks of a run share: where they are, their parameters, the folder they are executed into.

    `secrets`: what is masked in them; `say` prints a line; `on_start` is told the name of each notebook that begins.
    """

    notebooks: Path
    parameters: Mapping[str, Any]
    folder: Path
    secrets: tuple[str, ...]
    say: Say
    on_start: Say


def execute(
    steps: Sequence[Sequence[Chain]],
    managers: Sequence[AsyncKernelManager],
    desk: Desk,
    *,
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, Path]:
    """Execute notebooks step by step; the chains of a step run at the same time, each in a kernel of its own.

    In: the `managers` of as many started kernels as a step has chains. `meanwhile` is called while each step begins.
    Out: the executed notebooks by name. Raises NotebookError for the first that fails; all others are ended then.
    """
    executed: dict[str, Path] = {}
    kernels = [_Kernel(manager, desk) for manager in managers]
    with ThreadPoolExecutor(len(kernels)) as pool:
        try:
            for chains in steps:
                running = [pool.submit(kernel.work, chain) for kernel, chain in zip_longest(kernels, chains)]
                meanwhile()
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
                for each in done:
                    executed |= each.result()
        except BaseException:
            # A failure or an interruption: what still runs is not waited for, and the pool's threads end with it.
            for manager in managers:
                end(manager)
            raise
    return executed


class _Kernel:
    """One kernel, used by one thread at a time."""

    def __init__(self, manager: AsyncKernelManager, desk: Desk) -> None:
        self._manager, self._desk = manager, desk

    def work(self, chain: Chain | None) -> dict[str, Path]:
        """Execute a chain of notebooks; without one, load what those of the next step need."""
        if not chain:
            ready = v4.new_notebook(cells=[v4.new_code_cell(WARM_UP)])
            NotebookClient(ready, km=self._manager).execute()
        return {name: self._execute(name) for name in chain or ()}

    def _execute(self, name: str) -> Path:
        desk = self._desk
        target = desk.folder / f"{name}.ipynb"
        desk.on_start(name)
        try:
            papermill.execute_notebook(
                desk.notebooks / f"{name}.ipynb",
                target,
                parameters=dict(desk.parameters),
                progress_bar=False,
                engine_name=ENGINE,
                stdout_file=_Forward(desk.say),
                km=self._manager,
            )
        except (papermill.PapermillExecutionError, DeadKernelError, RuntimeError) as error:
            where = f"Its cells, as far as they ran, are in {target}"
            failed = NotebookError(masked(f"Notebook {name}: {_reason(error)}\n{where}", desk.secrets))
            failed.waits = _is_stopped(error)
            raise failed from None
        finally:
            _mask_file(target, desk.secrets)
        return target


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill is not typed
    """Executes a notebook in a kernel that may have executed others."""

    def start_new_kernel(self, **options: Any) -> None:
        """Kernels are started before; one that is gone was ended, and none must take its place."""
        raise DeadKernelError("The run has ended this kernel.")

    def papermill_execute_cells(self) -> None:
        """Execute all cells, after what the notebook before has left is gone."""
        self.kc.execute(CLEAN_SLATE, silent=True, store_history=False)
        super().papermill_execute_cells()


class _Progress(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the notebook on disk up to date, but not twice a cell: with many charts that takes longer than they."""

    saved = 0.0

    def save(self, **options: Any) -> None:
        """Write the notebook, if that was not done just now."""
        if time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
            super().save(**options)
            self.saved = time.monotonic()

    def notebook_complete(self, **options: Any) -> None:
        """Write the notebook as it ended."""
        self.saved = 0.0
        super().notebook_complete(**options)


class _SharedKernel(NBClientEngine):  # type: ignore[misc]
    """papermill's own engine with the two above."""

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, output_path: str | None = None, **options: Any
    ) -> NotebookNode:
        """Execute a notebook in the kernel of the manager `km`."""
        progress = _Progress(nb, output_path=output_path, progress_bar=False, log_output=False)
        progress.notebook_start()
        try:
            client = _Client(
                progress,
                km=options["km"],
                kernel_name=kernel_name,
                startup_timeout=options["start_timeout"],
                stdout_file=options["stdout_file"],
            )
            client.execute()
        finally:
            progress.notebook_complete()
        return progress.nb


papermill_engines.register(ENGINE, _SharedKernel)


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
