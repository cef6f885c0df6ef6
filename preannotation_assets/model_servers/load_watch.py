"""Asks servers with metrics, again and again, how many requests they work on and how many wait."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from preannotation_assets.model_servers.exchange import HttpRequest
from preannotation_assets.model_servers.exchanging import BlockingExchanger, Bounds
from preannotation_assets.model_servers.server import ModelServer, ServerLoad

__all__ = ["watched_load"]

_INTERVAL_SECONDS: Final = 0.5
# llama.cpp's server takes up to a second under load.
_TIMEOUT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 2 * _TIMEOUT_SECONDS
# A server without metrics is not asked for ever.
_SILENT_REPLIES: Final = 3
# What stands before a server that restarts.
_AWAY: Final = frozenset({502, 503, 504})


@contextmanager
def watched_load(
    server: ModelServer,
    endpoints: Sequence[str],
    environment: Mapping[str, str],
    tell: Callable[[str, ServerLoad], None],
    interval_seconds: float = _INTERVAL_SECONDS,
) -> Iterator[None]:
    """Tells the load of each endpoint while the body runs; nothing where this kind of server has no metrics.

    An endpoint that answers three times in a row without telling its load is not asked any more. One that
    cannot be reached, or whose gateway says so, is asked on: the requests themselves say that it is gone.
    """
    request = server.load_request()
    ended = threading.Event()

    def watch(endpoint: str, asked: HttpRequest) -> None:
        silent = 0
        bounds = Bounds.of_small_reply(_TIMEOUT_SECONDS)
        with BlockingExchanger(server, environment, _TIMEOUT_SECONDS) as exchanger:
            while silent < _SILENT_REPLIES and not ended.wait(interval_seconds):
                exchange = exchanger.exchange(endpoint, asked, bounds)
                is_away = exchange.lost is not None or exchange.status in _AWAY
                load = None if is_away else server.read_load(exchange)
                silent = 0 if load or is_away else silent + 1
                if load:
                    tell(endpoint, load)

    watchers = [
        threading.Thread(target=watch, args=(endpoint, request), name="load-watch", daemon=True)
        for endpoint in (endpoints if request else ())
        if request
    ]
    for watcher in watchers:
        watcher.start()
    try:
        yield
    finally:
        ended.set()
        for watcher in watchers:
            watcher.join(_STOP_SECONDS)
