"""Servers of their own for tests: on a free port of this machine, in a thread or a process, gone afterwards."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import httpx
import uvicorn


@contextmanager
def running(app: Any, *wrappers: Callable[[Any], Any]) -> Iterator[str]:
    """Serve an ASGI application in a thread, inside `wrappers` of it, the last outermost; yields its base URL."""
    for wrap in wrappers:
        app = wrap(app)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As asyncio does for the sockets that it opens itself; without it each answer waits 40 ms for the client.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # The port takes connections from here on; the kernel keeps them until the server answers.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(5)
            server.force_exit = True
            thread.join(5)
            assert not thread.is_alive()


def started(*command: str, cwd: Any = None, stderr: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """Start this Python with `command`, without the settings of this process; end it by `terminate`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IHC_")}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_up(url: str) -> bool:
    """Whether a server of the application answers at its base URL."""
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.02)
