"""Signal handlers as they were: a command that is run in the process of the tests sets its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kept_signal_handlers"]


@contextmanager
def kept_signal_handlers() -> Iterator[None]:
    """Puts back the handlers of SIGINT and SIGTERM at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
