"""Servers that are none of ours: they write down every byte they get, and answer as they like."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

__all__ = [
    "Answer",
    "Stranger",
    "answering",
    "by_path",
    "dripping_body",
    "dripping_head",
    "endless",
    "strangers",
]

Answer = Callable[[socket.socket, "Stranger"], None]
_STEP_SECONDS = 0.02


@dataclass
class Stranger:
    """Where a server listens, what it got so far, one text a request, and the bytes it sent without end."""

    url: str
    got: list[str] = field(default_factory=list)
    sent: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def told(self) -> str:
        """All it got."""
        return "\n".join(self.got)


def answering(content: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """A whole response of JSON."""

    def answer(connection: socket.socket, _: Stranger) -> None:
        connection.sendall(_head(f"Content-Length: {len(content)}", *headers, status=status) + content)

    return answer


def by_path(answers: Mapping[str, Answer]) -> Answer:
    """Another answer for each path; 404 for the others."""

    def answer(connection: socket.socket, stranger: Stranger) -> None:
        path = stranger.got[-1].split(" ", 2)[1]
        answers.get(path, answering(b"{}", status="404 Not Found"))(connection, stranger)

    return answer


def dripping_head(connection: socket.socket, stranger: Stranger) -> None:
    """A byte of a header at a time, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Long: ")
    while not stranger.ended.wait(_STEP_SECONDS):
        connection.sendall(b"x")


def dripping_body(connection: socket.socket, stranger: Stranger) -> None:
    """A byte of the body at a time, without end."""
    connection.sendall(_head("Content-Length: 999999"))
    while not stranger.ended.wait(_STEP_SECONDS):
        connection.sendall(b" ")


def endless(connection: socket.socket, stranger: Stranger) -> None:
    """As many bytes as the other side takes."""
    connection.sendall(_head())
    while not stranger.ended.is_set():
        connection.sendall(b" " * 65536)
        stranger.sent += 65536


@contextmanager
def strangers() -> Iterator[Callable[[Answer], Stranger]]:
    """Starts servers on loopback, each with one way to answer, and ends them."""
    with ExitStack() as stack:

        def start(answer: Answer) -> Stranger:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stranger = Stranger(f"http://127.0.0.1:{listener.getsockname()[1]}")
            thread = threading.Thread(target=_serve, args=(listener, stranger, answer))
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            stack.callback(stranger.ended.set)
            return stranger

        yield start


def _head(*headers: str, status: str = "200 OK") -> bytes:
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def _serve(listener: socket.socket, stranger: Stranger, answer: Answer) -> None:
    attending: list[threading.Thread] = []
    with suppress(OSError):  # The listener is shut down.
        while True:
            connection, _ = listener.accept()
            attending.append(threading.Thread(target=_attend, args=(connection, stranger, answer)))
            attending[-1].start()
    for thread in attending:
        thread.join(10)


def _attend(connection: socket.socket, stranger: Stranger, answer: Answer) -> None:
    with connection, suppress(OSError):  # The client has left.
        connection.settimeout(10)
        request = _read_request(connection)
        if request:
            stranger.got.append(request)
            answer(connection, stranger)


def _read_request(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return received.decode("latin-1")
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode("latin-1")
