"""Test servers on a free local port, in a thread or a process, stopped afterwards."""

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
    """Serve an ASGI application in a thread, inside `wrappers` (last is outermost); yields its base URL."""
    for wrap in wrappers:
        app = wrap(app)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As asyncio does for its own sockets; without it, each response waits 40 ms for the client.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # The port accepts connections from here on; they are queued until the server answers.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(5)
            server.force_exit = True
            thread.join(5)
            assert not thread.is_alive()


def started(*command: str, cwd: Any = None, stderr: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """Start this Python with `command`, without the settings of this process; `terminate` it at the end."""
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
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_up(url: str) -> bool:
    """Whether a server answers at this base URL."""
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fail after a timeout."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.02)
