"""``preannotate compare-servers``: the same pages asked at several servers, one server after the other."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TextIO

from preannotation_assets.errors import InferenceError
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import PageRow
from preannotation_assets.extraction.token_kinds import KindFactors
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.settings import ServerKind, Settings
from preannotation_assets.settings.model_access import model_access
from preannotation_assets.throttling.open_files import allow_open_files
from preannotation_assets.trying.batch_pages import OpenPages, chunk_limits, survey_batch
from preannotation_assets.trying.comparison import figures_of, marks_of
from preannotation_assets.trying.comparison_report import ComparedServer, comparison_lines
from preannotation_assets.trying.page_asker import PageAsker, SharedSemaphore, TriedPage
from preannotation_assets.trying.survey import PageSample, SizeCount
from preannotation_assets.trying.terminal import console_for, show

__all__ = ["CompareRequest", "ServerToCompare", "compare_servers"]


@dataclass(frozen=True, slots=True)
class ServerToCompare:
    """A server and the name that the model has there."""

    kind: ServerKind
    address: str
    model: str


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """Which pages to ask about, and where; ``in_flight`` None takes what the settings say for the kind."""

    dataset: str
    pages: int
    servers: tuple[ServerToCompare, ...]
    in_flight: int | None


@dataclass(frozen=True, slots=True)
class _Contestant:
    """A server that passed the preflight."""

    access: ModelAccess
    template: RequestTemplate
    name: str

    @property
    def model(self) -> str:
        return f"{self.template.model} {self.template.digest[:12]}"


def compare_servers(settings: Settings, request: CompareRequest, open_pages: OpenPages, out: TextIO) -> None:
    """Asks every server about the same pages and writes what it cost and how far they agree to ``out``.

    Nothing is kept. All servers are looked at before the first is asked.

    Raises:
        PreannotationError: something is missing, or no request of a server was answered.
    """
    store = open_store(StoreLocation(*settings.storage.place()))
    scheme = load_label_scheme(settings.labels.path)
    of_each = [_settings_for(settings, request, server) for server in request.servers]
    contestants = [_prepare(own, scheme) for own in of_each]
    limits = _limits_for_all([chunk_limits(own, store, request.dataset) for own in of_each])
    size, pages = survey_batch(
        open_pages,
        request.dataset,
        PageSample(request.pages),
        SizeCount(limits, is_answered=lambda _: False),
        is_wanted=lambda _: True,
    )
    compared = [_compare(contestant, scheme, limits, pages) for contestant in contestants]
    console = console_for(out, os.environ)
    for line in comparison_lines(compared, size):
        show(console, line)


def _limits_for_all(of_each: Sequence[ChunkLimits]) -> ChunkLimits:
    """Limits under which a text is small enough for all: as the model counts that has the most tokens."""
    return replace(
        of_each[0],
        calibration=max(limits.calibration for limits in of_each),
        kind_factors=KindFactors.dearest(limits.kind_factors for limits in of_each),
    )


def _settings_for(settings: Settings, request: CompareRequest, server: ServerToCompare) -> Settings:
    chosen = settings.with_servers(server.kind, server.address).with_model(server.model)
    return chosen if request.in_flight is None else chosen.with_in_flight(request.in_flight)


def _prepare(settings: Settings, scheme: LabelScheme) -> _Contestant:
    access = model_access(settings.model_servers, settings.generation, settings.asking)
    prompt = access.prompt(scheme)
    access.require_room(prompt, settings.chunking.chunk_tokens)
    identity = access.identify(os.environ)
    ((address, version),) = identity.versions
    return _Contestant(
        access=access.for_identity(identity),
        template=access.template(identity, prompt),
        name=f"{access.server.kind} {version} at {address}",
    )


def _compare(
    contestant: _Contestant, scheme: LabelScheme, limits: ChunkLimits, pages: Sequence[PageRow]
) -> ComparedServer:
    access = contestant.access
    allow_open_files(min(access.max_in_flight, len(pages)))
    access.preload(contestant.template, os.environ)
    tried, seconds = asyncio.run(_ask(contestant, scheme, limits, pages))
    figures = figures_of(tried, access.max_in_flight, seconds)
    if figures.failed == figures.requests:
        raise InferenceError(
            f"{contestant.name} answered none of {figures.requests} requests", "preannotate try shows why"
        )
    return ComparedServer(contestant.name, contestant.model, figures, marks_of(tried))


async def _ask(
    contestant: _Contestant, scheme: LabelScheme, limits: ChunkLimits, pages: Sequence[PageRow]
) -> tuple[list[TriedPage], float]:
    """The pages, several at once, and the seconds it took."""
    access = contestant.access
    async with ChatClient(access.server, access.timeouts, os.environ, access.streamed) as client:
        slots = SharedSemaphore.of_this_machine(os.environ, access.max_in_flight)
        asker = PageAsker(
            client,
            access.endpoints,
            contestant.template,
            limits,
            scheme,
            slots,
            access.timeouts.total,
            access.policy,
            warms_up=False,
        )
        workers = min(access.max_in_flight, len(pages))
        await _warm_up(contestant, client, slots, workers)
        waiting = iter(pages)

        async def work() -> list[TriedPage]:
            return [await asker.ask(page) for page in waiting]

        began = time.monotonic()
        tried = await asyncio.gather(*(work() for _ in range(workers)))
        return list(chain.from_iterable(tried)), time.monotonic() - began


async def _warm_up(contestant: _Contestant, client: ChatClient, slots: SharedSemaphore, workers: int) -> None:
    """Has the constant part of the prompt read: in a batch it is read once, and not for these few pages."""
    access = contestant.access
    (endpoint,) = access.endpoints

    async def read() -> None:
        async with slots.one(endpoint):
            await client.warm_up(endpoint, contestant.template, access.timeouts.total)

    await asyncio.gather(*(read() for _ in range(workers if access.server.warms_each_slot else 1)))
