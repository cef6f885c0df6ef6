"""Servers that speak OpenAI's protocol: the stand-in, and one whose replies are given beforehand."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from shared.asking_runs import new_run, template_with_example
from shared.asking_runs import template as ollama_template
from shared.http_servers import QuietHandler, serving

from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import HabitRates
from preannotation_assets.simulator.openai import OpenAiSettings, RunningOpenAiSimulator

__all__ = ["new_run", "ollama_template", "scripted", "stand_in", "template", "template_with_example"]

MODEL = "llama-3.3-70b"
JSON = "application/json"


@pytest.fixture(scope="session")
def template(ollama_template: RequestTemplate) -> RequestTemplate:
    """Requests to the stand-in's model with a prompt of three labels."""
    return replace(ollama_template, model=MODEL)


@pytest.fixture
def stand_in() -> Iterator[Callable[..., RunningOpenAiSimulator]]:
    """Starts stand-in servers that answer at once and make no mistakes on purpose."""
    with ExitStack() as stack:

        def start(**changes: Any) -> RunningOpenAiSimulator:
            settings = OpenAiSettings(**{"habits": HabitRates.NONE} | changes)
            return stack.enter_context(RunningOpenAiSimulator(settings))

        yield start


@dataclass
class Scripted:
    """A server that replies to a path with a status, a media type and a text, to all others with 404.

    ``bodies`` are those of the requests so far, by path.
    """

    replies: Mapping[str, tuple[int, str, str] | Callable[[dict[str, Any]], tuple[int, str, str]]]
    url: str = ""
    bodies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    keys: list[str | None] = field(default_factory=list)

    def reply(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, str, str]:
        """What to send for a request."""
        self.bodies.setdefault(path, []).append(body)
        self.keys.append(key)
        reply = self.replies.get(path, (404, JSON, '{"detail":"Not Found"}'))
        return reply(body) if callable(reply) else reply


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Starts scripted servers."""
    with ExitStack() as stack:

        def start(replies: Mapping[str, Any]) -> Scripted:
            script = Scripted(replies)

            class Handler(QuietHandler):
                def answer(self) -> None:
                    body = json.loads(self.taken() or b"{}")
                    status, media_type, text = script.reply(self.path, body, self.headers["authorization"])
                    self.reply(status, media_type, text.encode())

            script.url = stack.enter_context(serving(Handler))
            return script

        yield start
