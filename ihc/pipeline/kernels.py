"""Start and end the kernels of a run."""

from __future__ import annotations

import math
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from jupyter_core.utils import run_sync

from ihc.pipeline.forks import Forks, Kernel, Start

OF_A_REPLY, OF_A_MESSAGE, OF_THE_END = 1.0, 0.2, 5.0  # how long to wait [s]


def new_kernel(forks: Forks | None = None) -> AsyncKernelManager:
    """A kernel with the same Python, not started yet; to be forked, if there is a process that forks."""
    specs = KernelSpecManager(kernel_dirs=[])
    kernel = AsyncKernelManager(kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=specs, client_factory=Client)
    # Without it, newer kernels warn about unencrypted connections.
    if kernel.has_trait("transport_encryption"):
        kernel.transport_encryption = "auto"
    if forks:
        kernel.provisioner = Forked(kernel_id=str(uuid4()), kernel_spec=kernel.kernel_spec, parent=kernel)
        kernel.provisioner.forks = forks
    return kernel


def end_kernel(kernel: AsyncKernelManager) -> None:
    """End a kernel immediately."""
    if kernel.has_kernel:
        run_sync(kernel.shutdown_kernel)(now=True)


class Client(AsyncKernelClient):  # type: ignore[misc]
    """A client that is ready as soon as the kernel is; the usual one then waits until nothing comes for 0.2 s."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers on both channels. Raises RuntimeError if it dies or `timeout` [s] is over."""
        end = monotonic() + (math.inf if timeout is None else timeout)
        while not await self._answers():
            if not await self.is_alive():
                raise RuntimeError("The kernel died before it was ready.")
            if monotonic() > end:
                raise RuntimeError(f"The kernel was not ready after {timeout} seconds.")

    async def _answers(self) -> bool:
        asked = self.kernel_info()
        try:
            await self.get_shell_msg(timeout=OF_A_REPLY)
            while not _says_idle(await self.get_iopub_msg(timeout=OF_A_MESSAGE), asked):
                pass
        except Empty:
            return False
        return True


def _says_idle(message: dict[str, Any], asked: str) -> bool:
    """Whether a message is the last about what was asked."""
    is_about_it = message["parent_header"].get("msg_id") == asked
    return is_about_it and message["content"].get("execution_state") == "idle"  # type: ignore[no-any-return]


class Forked(LocalProvisioner):  # type: ignore[misc]
    """Launches a kernel as a fork; if that fails, as any other."""

    forks: Forks

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        """Launch a kernel with the arguments of `cmd` and some options of `Popen`."""
        start = Start(cmd[cmd.index("-f") :], options["env"], options["cwd"])
        try:
            self.process = self.forks.kernel(start, options["stderr"].fileno(), options["pass_fds"])
        except OSError:
            return await super().launch_kernel(cmd, **options)  # type: ignore[no-any-return]
        return self.connection_info  # type: ignore[no-any-return]

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel, and wait for its end: a tenth of a second less than by polling."""
        await super().kill(restart)
        if isinstance(self.process, Kernel):
            self.process.wait(OF_THE_END)
