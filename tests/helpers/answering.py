"""A test server on loopback that sends arbitrary bytes, for tests of the client."""

import json
import re
import socket
import threading
from contextlib import contextmanager, suppress


class Answering:
    """Listens on loopback and sends one answer per connection, repeating the last one.

    An answer is the bytes to send, or a function of the connection. `heads`, `bodies`: received per request;
    `connections`: their number; `received`: all received bytes.
    """

    def __init__(self, *answers, context=None):
        self.answers, self.context = answers, context
        self.heads, self.bodies, self.connections, self.received = [], [], 0, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError), self._secured(connection) as secured:
                self._answer(secured)  # in some tests the client disconnects, as it should

    def _secured(self, connection):
        return self.context.wrap_socket(connection, server_side=True) if self.context else connection

    def _answer(self, connection):
        connection.settimeout(5)
        data = b""
        while not (whole := re.match(rb"(.*?\r\n)\r\n(.*)", data, re.DOTALL)) or len(whole[2]) < _length(whole[1]):
            chunk = connection.recv(65_536)
            if not chunk:
                return
            data += chunk
            self.received += chunk
        self.heads.append(whole[1].decode())
        self.bodies.append(whole[2])
        answer = self.answers[min(len(self.heads), len(self.answers)) - 1]
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(answer)

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


def _length(head):
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


@contextmanager
def answering(*answers, scheme="http", host="127.0.0.1", **options):
    server = Answering(*answers, **options)
    server.thread.start()
    try:
        yield f"{scheme}://{host}:{server.port}/v1/compute_ihc", server
    finally:
        server.close()


def http(status, content, *headers):
    """An HTTP response with a JSON body, unless the body is bytes."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body
