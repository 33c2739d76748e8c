"""Kernels of this very Python, for the notebooks of a run; started before what is needed to talk to them is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from ihc.locking import Lock

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
