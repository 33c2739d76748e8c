"""The notebooks of a run, executed by papermill: two at the same time, each in a kernel of its own."""

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
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError

from ihc import errors
from ihc.database.locks import Lock
from ihc.errors import ApiStoppedError, NotebookError
from ihc.report.files import write_text
from ihc.secrets import masked

AT_ONCE = 2
NO_HISTORY = ["--HistoryManager.enabled=False"]  # cells of a run are no lines that the user has typed
LONGEST_SOCKET = 80  # a socket's path has some 100 characters at most
Say = Callable[[str], object]
Step = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Execution:
    """Notebooks of a folder, to be executed into another one, all with the same parameters.

    In: the whole `environment` of their kernels, and the `lock` that each kernel holds with its run; `secrets`: what is
    masked in the notebooks; `say` prints a line; `step` is entered with the name of each notebook as long as it runs.
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

    def run(self, needs: Mapping[str, Collection[str]]) -> dict[str, Path]:
        """Execute notebooks, two at the same time, each after those that it `needs`.

        Out: the executed notebooks by name. Raises NotebookError for the first that fails; all others are ended then.
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
                # A failure or an interruption: what still runs is not waited for, and the pool's threads end with it.
                self.end()
                raise
        return executed

    def end(self) -> None:
        """End every kernel, and start none any more."""
        self._is_ended.set()
        for kernel in self._kernels:
            _end(kernel)

    def _execute(self, name: str) -> Path:
        target = self.folder / f"{name}.ipynb"
        try:
            with self.step(name), self._kernel() as kernel:
                papermill.execute_notebook(
                    self.notebooks / f"{name}.ipynb",
                    target,
                    parameters=dict(self.parameters),
                    # Saved when it ends, and when a cell fails: twice a cell would take an eighth of the run.
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
        """A kernel of this very Python; its noise goes to `kernels.log`."""
        specs = KernelSpecManager(kernel_dirs=[])
        kernel = AsyncKernelManager(kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=specs)
        # Newer kernels warn, without it, that others on the machine could listen.
        if kernel.has_trait("transport_encryption"):
            kernel.transport_encryption = "auto"
        self._kernels.append(kernel)
        with (self.folder / "kernels.log").open("ab") as log, TemporaryDirectory(prefix="ihc-") as sockets:
            # Ports are looked for first and taken later, so that two runs at once could take the same; files are not.
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
                _end(kernel)


def _end(kernel: AsyncKernelManager) -> None:
    """End a kernel, whatever it does."""
    if kernel.has_kernel:
        run_sync(kernel.shutdown_kernel)(now=True)


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


def _failure(error: Exception, name: str, target: Path) -> tuple[str, bool]:
    """Why a notebook failed, in a sentence, and whether it only has to be run again."""
    if not isinstance(error, papermill.PapermillExecutionError):
        return f"Notebook {name}: its kernel died, perhaps for want of memory.", False
    kind = getattr(errors, error.ename, None)
    reason = error.evalue if kind else f"{error.ename}: {error.evalue}"
    where = f"Its cells, as far as they ran, are in {target}"
    return f"Notebook {name}: {reason}\n{where}", kind is not None and issubclass(kind, ApiStoppedError)


def _mask_file(path: Path, secrets: tuple[str, ...]) -> None:
    if secrets and path.exists():
        text = path.read_text("utf-8")
        write_text(masked(text, [json.dumps(secret)[1:-1] for secret in secrets]), path)
