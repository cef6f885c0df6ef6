"""The load of a server, asked for over HTTP while something else goes on."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat

from shared.http_servers import QuietHandler, serving

from preannotation_assets.model_servers.load_watch import watched_load
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.server import ServerLoad

METRICS = b"vllm:num_requests_running 5\nvllm:num_requests_waiting 2\n"


@contextmanager
def metrics_server(status: int | Sequence[int], seen: list[str], enough: threading.Event) -> Iterator[str]:
    statuses = chain(repeat(status) if isinstance(status, int) else status, repeat(200))

    class Handler(QuietHandler):
        def answer(self) -> None:
            seen.append(f"{self.path} {self.headers['Authorization']}")
            if len(seen) >= 3:
                enough.set()
            self.reply(next(statuses), "text/plain", METRICS)

    with serving(Handler) as url:
        yield url


def test_the_load_is_told_until_the_body_ends() -> None:
    seen: list[str] = []
    told: list[tuple[str, ServerLoad]] = []
    enough = threading.Event()
    with metrics_server(200, seen, enough) as url:
        environment = {"PREANNOTATION_SERVER_API_KEY": "k", "PREANNOTATION_SERVER_URLS": url}
        with watched_load(OpenAIServer(), [url], environment, lambda *load: told.append(load), 0.01):
            assert enough.wait(20)
        asked = len(seen)
        assert told[:2] == [(url, ServerLoad(5, 2))] * 2
        assert set(seen) == {"/metrics Bearer k"}
        assert len(told) == asked


def test_a_server_without_metrics_is_asked_three_times_and_left_alone() -> None:
    seen: list[str] = []
    told: list[tuple[str, ServerLoad]] = []
    enough = threading.Event()
    with metrics_server(404, seen, enough) as url:
        with watched_load(OpenAIServer(), [url], {}, lambda *load: told.append(load), 0.01):
            assert enough.wait(20)
            while any(thread.name == "load-watch" for thread in threading.enumerate()):
                pass
        assert (len(seen), told) == (3, [])


def test_a_server_that_restarts_behind_a_gateway_is_asked_on() -> None:
    again = threading.Event()
    with (
        metrics_server([502, 503, 503, 504, 502], [], threading.Event()) as url,
        watched_load(OpenAIServer(), [url], {}, lambda *_: again.set(), 0.01),
    ):
        assert again.wait(20)


def test_ollama_is_not_asked() -> None:
    before = threading.active_count()
    with watched_load(OllamaServer(), ["http://127.0.0.1:9"], {}, lambda *_: None):
        assert threading.active_count() == before
