"""Fork kernels from a process that has imported everything, instead of importing it again in each kernel.

Each kernel is a process of its own. The process that forks, `python -m ihc.pipeline.forks`, does nothing else: it has
no data and runs no notebook, and it ends when the other end of its pipe is closed.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from threading import Lock
from typing import NamedTuple, NoReturn

STDERR = 2
SILENT = "The process that forks kernels does not answer."
OF_AN_ANSWER = 20  # how long to wait for it [s]
OBJECTS = 10_000  # new objects between two searches for garbage
# What kernels and notebooks import, also what others import on first use. Not all of it is always installed.
PRELOADED = ("ihc.pipeline.shop", "ipykernel.kernelapp", "adbc_driver_sqlite.dbapi", "pyarrow.dataset")


class Start(NamedTuple):
    """How to start a kernel: arguments of the command line, environment and working directory."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str


class Kernel:
    """A forked kernel, with the methods of `subprocess.Popen` that Jupyter uses. Its exit code is unknown."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._handle = handle

    def poll(self) -> int | None:
        """Return None as long as the kernel runs, otherwise 0."""
        return self.wait(0)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for the end of the kernel, at most some seconds; see `poll`."""
        return 0 if select.select([self._handle], [], [], seconds)[0] else None

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel and its subprocesses."""
        if self.poll() is None:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill the kernel and its subprocesses."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel and its subprocesses to end."""
        self.send_signal(signal.SIGTERM)

    def __del__(self) -> None:
        os.close(self._handle)


class Forks:
    """Starts the process that forks, and asks it for kernels."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        self._one_at_a_time = Lock()
        self._is_silent = False
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this module
                [sys.executable, "-P", "-m", __name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the run, which then ends its kernels
            )

    @property
    def pid(self) -> int:
        """Id of the process that forks."""
        return self._process.pid

    def kernel(self, start: Start, stderr: int, inherited: Sequence[int]) -> Kernel:
        """Start a kernel. `stderr` and `inherited` are file descriptors. Raises OSError if the process has ended."""
        with self._one_at_a_time:
            if self._is_silent:
                raise OSError(SILENT)
            try:
                self._connection.send((start, len(inherited)))
                for descriptor in (stderr, *inherited):
                    send_handle(self._connection, descriptor, self._process.pid)
                if not self._connection.poll(OF_AN_ANSWER):
                    self._is_silent = True  # a late answer would be taken for that of the next kernel
                    raise OSError(SILENT)
                return Kernel(self._connection.recv(), recv_handle(self._connection))
            except EOFError as error:
                raise OSError("The process that forks kernels has ended.") from error

    def end(self) -> None:
        """End the process, and with it the kernels that it has forked."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def __del__(self) -> None:
        self.end()


def can_fork() -> bool:
    """Whether kernels can be forked here: on Linux, where libraries are safe to fork before they start threads."""
    with suppress(AttributeError, OSError):
        os.close(os.pidfd_open(os.getpid()))
        return sys.platform == "linux"
    return False


_early: list[Forks] = []  # at most one


def start_early() -> None:
    """Start the process that forks before the libraries that use it are imported."""
    if can_fork() and not _early:
        with suppress(OSError):
            _early.append(Forks())


def take() -> Forks | None:
    """Return the process that was started early, or another; None if kernels cannot be forked."""
    start_early()
    return _early.pop() if _early else None


def serve(connection: Connection) -> None:
    """Fork a kernel for each `Start` that arrives, until the connection is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels leave nothing to collect
    gc.freeze()  # kernels need not look for garbage among the modules
    with suppress(EOFError):
        while True:
            start, inherited = connection.recv()
            descriptors = [recv_handle(connection) for _ in range(inherited + 1)]
            if os.fork() == 0:
                _become(start, descriptors[0], connection)
            for descriptor in descriptors:
                os.close(descriptor)


def _become(start: Start, stderr: int, connection: Connection) -> NoReturn:
    """Answer with id and handle, then run as a kernel, which ends when its parent does."""
    try:
        os.dup2(stderr, STDERR)
        os.setsid()
        handle, parent = os.pidfd_open(os.getpid()), os.getppid()
        with connection:
            connection.send(os.getpid())
            send_handle(connection, handle, parent)
        os.close(handle)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(start.folder)
        os.environ.clear()
        os.environ.update(start.environment)
        launch = import_module("ipykernel.kernelapp").launch_new_instance
        launch([*start.arguments, f"--IPKernelApp.parent_handle={parent}"])
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def main() -> None:
    """Import everything, then fork kernels; the pipe is stdin."""
    gc.set_threshold(OBJECTS)  # looking as often as usual takes a tenth of the time, here and in kernels
    for name in PRELOADED:
        with suppress(ImportError):  # the notebook that needs it reports it
            import_module(name)
    pipe = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    serve(Connection(pipe))
    os._exit(0)  # taking everything apart takes as long as importing it


if __name__ == "__main__":
    main()
