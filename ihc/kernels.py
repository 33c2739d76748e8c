"""Kernels that execute the notebooks of a run: each one notebook after the other, with a clean slate in between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import v4

from ihc import errors
from ihc.environment import masked
from ihc.errors import ApiStoppedError, NotebookError
from ihc.outputs import write_text

LONGEST_SOCKET = 80  # a socket's path has some 100 characters at most
# A kernel's imports take longer than most notebooks, so notebooks share it; none sees the names of the one before.
CLEAN_SLATE = "%reset -f\nget_ipython().execution_count = 1"
WARM_UP = "import ihc.charts, ihc.database, ihc.publishing, ihc.settings, ihc.tables"

Say = Callable[[str], object]
Chain = Sequence[str]


@dataclass(frozen=True)
class Desk:
    """What the notebooks of a run share: where they are, their parameters, the folder they are executed into.

    `secrets`: what is masked in them; `environment`: the whole environment of the kernels; `lock`: the run's lock,
    which its kernels hold with it; `say` prints a line; `on_start` is told the name of each notebook that begins.
    """

    notebooks: Path
    parameters: Mapping[str, Any]
    folder: Path
    secrets: tuple[str, ...]
    environment: Mapping[str, str]
    lock: IO[str] | None
    say: Say
    on_start: Say


def execute(steps: Sequence[Sequence[Chain]], desk: Desk) -> dict[str, Path]:
    """Execute notebooks step by step; the chains of a step run at the same time, each in a kernel of its own.

    Out: the executed notebooks by name. Raises NotebookError for the first that fails; all others are ended then.
    """
    desk.folder.mkdir(parents=True, exist_ok=True)
    executed: dict[str, Path] = {}
    with _kernels(max(map(len, steps)), desk) as kernels, ThreadPoolExecutor(len(kernels)) as pool:
        for chains in steps:
            padded = [*chains, *[()] * (len(kernels) - len(chains))]
            running = [pool.submit(kernel.work, chain) for kernel, chain in zip(kernels, padded, strict=True)]
            try:
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
                for each in done:
                    executed |= each.result()
            except BaseException:
                # A failure or an interruption: what still runs is not waited for, and the pool's threads end with it.
                for kernel in kernels:
                    kernel.end()
                raise
    return executed


@contextmanager
def _kernels(count: int, desk: Desk) -> Iterator[list[_Kernel]]:
    with (desk.folder / "kernels.log").open("ab") as log, TemporaryDirectory(prefix="ihc-") as sockets:
        launch = {"env": dict(desk.environment), "stderr": log, "cwd": str(desk.folder)}
        launch |= {"pass_fds": [desk.lock.fileno()] if desk.lock and os.name == "posix" else []}
        kernels = [_Kernel(_manager(launch, f"{sockets}/{number}"), desk) for number in range(count)]
        try:
            yield kernels
        finally:
            for kernel in kernels:
                kernel.end()


class _Kernel:
    """One kernel, started by the first chain; used by one thread at a time."""

    def __init__(self, manager: AsyncKernelManager, desk: Desk) -> None:
        self._manager, self._desk = manager, desk

    def work(self, chain: Chain) -> dict[str, Path]:
        """Execute a chain of notebooks; where it is empty, only get ready for the next."""
        if not chain:
            self._run(WARM_UP)
        return {name: self._execute(name) for name in chain}

    def end(self) -> None:
        """End the kernel, whatever it does."""
        if self._manager.has_kernel:
            run_sync(self._manager.shutdown_kernel)(now=True)

    def _run(self, source: str) -> None:
        NotebookClient(v4.new_notebook(cells=[v4.new_code_cell(source)]), km=self._manager).execute()

    def _execute(self, name: str) -> Path:
        desk = self._desk
        target = desk.folder / f"{name}.ipynb"
        desk.on_start(name)
        try:
            self._run(CLEAN_SLATE)
            papermill.execute_notebook(
                desk.notebooks / f"{name}.ipynb",
                target,
                parameters=dict(desk.parameters),
                progress_bar=False,
                stdout_file=_Forward(desk.say),
                km=self._manager,
            )
        except (papermill.PapermillExecutionError, DeadKernelError) as error:
            where = f"Its cells, as far as they ran, are in {target}"
            failed = NotebookError(masked(f"Notebook {name}: {_reason(error)}\n{where}", desk.secrets))
            failed.waits = _is_stopped(error)
            raise failed from None
        finally:
            _mask_file(target, desk.secrets)
        return target


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
