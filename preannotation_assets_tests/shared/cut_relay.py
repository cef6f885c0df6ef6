"""A way to a server that is cut in the middle: it takes connections and bytes on, and hands nothing on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["CutRelay", "relay_to"]

_BYTES = 65_536


class CutRelay:
    """Hands on what comes, until a client sends ``last_words``; those and all else when it is mended.

    As where a network was away: what was sent meanwhile arrives afterwards, and nobody is told.
    """

    def __init__(self, target: tuple[str, int], last_words: bytes) -> None:
        self._target = target
        self._last_words = last_words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._whole = threading.Event()
        self._whole.set()
        self._sockets = [self._listener]
        self._was_mended = False
        self.was_cut = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def mend(self) -> None:
        """Hands on again, also what came meanwhile."""
        self._was_mended = True
        self._whole.set()

    def close(self) -> None:
        """Ends all connections."""
        self.mend()
        for each in self._sockets:
            # Wakes a thread that waits there, which closing alone does not.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def accept(self) -> None:
        """Takes connections until it is closed."""
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._hand_on, args=(source, sink), daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(_BYTES):
                if content.startswith(self._last_words) and not self._was_mended:
                    self._whole.clear()
                    self.was_cut.set()
                self._whole.wait()
                sink.sendall(content)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def relay_to(url: str, last_words: bytes) -> Iterator[CutRelay]:
    """A relay before a server for the time of the block."""
    place = urlsplit(url)
    relay = CutRelay((str(place.hostname), place.port or 80), last_words)
    acceptor = threading.Thread(target=relay.accept, daemon=True)
    acceptor.start()
    try:
        yield relay
    finally:
        relay.close()
        acceptor.join()
