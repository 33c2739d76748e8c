"""Execute the notebooks of a run with papermill, two at a time, each in its own kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError

from ihc import errors
from ihc.database.locks import Lock
from ihc.errors import ApiStoppedError, NotebookError
from ihc.pipeline.forks import Forks, take
from ihc.pipeline.kernels import end_kernel, new_kernel
from ihc.report.files import write_text
from ihc.secrets import masked

AT_ONCE = 2
NO_HISTORY = ["--HistoryManager.enabled=False"]  # keep the cells of a run out of the user's IPython history
LONGEST_SOCKET = 80  # socket paths are limited to about 100 characters
Say = Callable[[str], object]
Step = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Execution:
    """Executes notebooks of a folder into another folder, all with the same parameters.

    In: the `environment` of the kernels; the `lock` of the run, inherited by each kernel; `secrets`: texts to mask in
    the notebooks; `say` prints a line; `step` is a context manager entered with the name of each running notebook.
    """

    notebooks: Path
    parameters: Mapping[str, Any]
    folder: Path
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    say: Say
    step: Step
    lock: Lock | None = None
    _kernels: list[AsyncKernelManager] = field(default_factory=list, init=False)
    _is_ended: Event = field(default_factory=Event, init=False)
    _forks: Forks | None = field(default_factory=lambda: take(), init=False)

    def run(self, needs: Mapping[str, Collection[str]]) -> dict[str, Path]:
        """Execute notebooks, two at a time, each after the ones it `needs`.

        Out: the executed notebooks by name. Raises NotebookError for the first failure and ends all other kernels.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        executed: dict[str, Path] = {}
        waiting, running = list(needs), dict[Future[Path], str]()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                while waiting or running:
                    ready = [name for name in waiting if executed.keys() >= set(needs[name])]
                    for name in ready[: AT_ONCE - len(running)]:
                        waiting.remove(name)
                        running[pool.submit(self._execute, name)] = name
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        executed[running.pop(done)] = done.result()
            except BaseException:
                # After a failure or an interruption, end the running kernels, and with them the threads of the pool.
                self.end()
                raise
        return executed

    def end(self) -> None:
        """End all kernels and start no more."""
        self._is_ended.set()
        for kernel in self._kernels:
            end_kernel(kernel)

    def close(self) -> None:
        """End the process that forks kernels."""
        if self._forks:
            self._forks.end()

    def _execute(self, name: str) -> Path:
        target = self.folder / f"{name}.ipynb"
        try:
            with self.step(name), self._kernel() as kernel:
                papermill.execute_notebook(
                    self.notebooks / f"{name}.ipynb",
                    target,
                    parameters=dict(self.parameters),
                    # Save only at the end and on failure: saving at each cell takes an eighth of the run time.
                    request_save_on_cell_execute=False,
                    progress_bar=False,
                    stdout_file=_Forward(self.say),
                    km=kernel,
                )
        except (papermill.PapermillExecutionError, DeadKernelError, RuntimeError) as error:
            says, waits = _failure(error, name, target)
            failed = NotebookError(masked(says, self.secrets))
            failed.waits = waits
            raise failed from None
        finally:
            _mask_file(target, self.secrets)
        return target

    @contextmanager
    def _kernel(self) -> Iterator[AsyncKernelManager]:
        """A kernel with the same Python; its stderr goes to `kernels.log`."""
        kernel = new_kernel(self._forks)
        self._kernels.append(kernel)
        with (self.folder / "kernels.log").open("ab") as log, TemporaryDirectory(prefix="ihc-") as sockets:
            # Two parallel runs could choose the same free port; socket files avoid that.
            if os.name == "posix" and len(sockets) < LONGEST_SOCKET:
                kernel.transport, kernel.ip = "ipc", f"{sockets}/kernel"
            if self._is_ended.is_set():
                raise DeadKernelError("The run has ended.")
            try:
                run_sync(kernel.start_kernel)(
                    extra_arguments=NO_HISTORY,
                    env=dict(self.environment),
                    stderr=log,
                    cwd=str(self.folder),
                    pass_fds=[self.lock.fileno()] if self.lock and os.name == "posix" else [],
                )
                yield kernel
            finally:
                end_kernel(kernel)


class _Forward:
    """File-like object that passes a notebook's output on line by line."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, text: str) -> None:
        for line in filter(str.strip, text.splitlines()):
            self._say(line)

    def flush(self) -> None:
        """Do nothing: output is not buffered."""


def _failure(error: Exception, name: str, target: Path) -> tuple[str, bool]:
    """Why a notebook failed, as a message, and whether it only needs to be run again."""
    if not isinstance(error, papermill.PapermillExecutionError):
        return f"Notebook {name}: the kernel died, possibly out of memory.", False
    kind = getattr(errors, error.ename, None)
    reason = error.evalue if kind else f"{error.ename}: {error.evalue}"
    where = f"The executed cells are in {target}"
    return f"Notebook {name}: {reason}\n{where}", kind is not None and issubclass(kind, ApiStoppedError)


def _mask_file(path: Path, secrets: tuple[str, ...]) -> None:
    if secrets and path.exists():
        text = path.read_text("utf-8")
        write_text(masked(text, [json.dumps(secret)[1:-1] for secret in secrets]), path)
