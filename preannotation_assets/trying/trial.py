"""``preannotate try``: the steps of a run on a few pages, shown on the terminal and kept nowhere."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan
from preannotation_assets.errors import BatchError, InferenceError
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.labels import LabelScheme, label_colours
from preannotation_assets.extraction.pages import PageRow, text_sha256
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.template import RequestTemplate, request_key
from preannotation_assets.settings import Settings
from preannotation_assets.settings.model_access import model_access
from preannotation_assets.throttling.warm_ups import warm_ups_an_endpoint
from preannotation_assets.trying.batch_pages import OpenPages, chunk_limits, survey_batch
from preannotation_assets.trying.page_asker import PageAsker, SharedSemaphore, TriedPage
from preannotation_assets.trying.prefix_report import prefix_lines
from preannotation_assets.trying.report import (
    Capacity,
    doubt_lines,
    page_lines,
    projection_lines,
    prompt_lines,
    short_prompt_lines,
)
from preannotation_assets.trying.survey import BatchSize, PageSample, SizeCount
from preannotation_assets.trying.terminal import Line, View, console_for, show, view_for
from preannotation_assets.visible_text import visible

__all__ = ["TryRequest", "try_pages"]

_LARGEST_FILE: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class TryRequest:
    """What to try: pages of a dataset, or a text file.

    ``dataset`` and ``text_file`` are empty where the other one is given. ``doc_id`` and ``page_num``
    narrow the pages that are shown; the projection is for the whole dataset all the same.
    """

    dataset: str
    text_file: str
    pages: int
    doc_id: str | None
    page_num: int | None
    with_prompt: bool


@dataclass(frozen=True, slots=True)
class _Trial:
    """What all pages of a trial have in common."""

    access: ModelAccess
    scheme: LabelScheme
    template: RequestTemplate
    limits: ChunkLimits
    slots: SharedSemaphore
    console: Console
    view: View
    with_prompt: bool


def try_pages(settings: Settings, request: TryRequest, open_pages: OpenPages, out: TextIO) -> None:
    """Asks about a few pages, one request at a time, and writes what came of it to ``out``.

    Raises:
        PreannotationError: something is missing, no server serves a request, or no request was answered.
    """
    store = open_store(StoreLocation(*settings.storage.place()))
    limits = chunk_limits(settings, store, request.dataset)
    text = _read_text(request.text_file) if request.text_file else ""
    trial = _prepare(settings, request, limits, console_for(out, os.environ))
    if request.text_file:
        _try(trial, [PageRow(request.text_file, 1, text, text_sha256(text))])
        return
    size, pages = _survey(store, request, trial, open_pages)
    tried = _try(trial, pages)
    _write(trial.console, doubt_lines(tried))
    capacity = Capacity(len(trial.access.endpoints), trial.access.max_in_flight)
    _write(trial.console, projection_lines(size, tried, capacity))
    if request.doc_id is not None or request.page_num is not None:
        _write(trial.console, ["these pages were chosen and not drawn, so the interval may be far off"])


def _prepare(settings: Settings, request: TryRequest, limits: ChunkLimits, console: Console) -> _Trial:
    """Makes sure that scheme, settings, servers and model are as a run needs them, and names them."""
    scheme = load_label_scheme(settings.labels.path)
    access = model_access(settings.model_servers, settings.generation, settings.asking)
    prompt = access.prompt(scheme)
    access.require_room(prompt, settings.chunking.chunk_tokens)
    identity = access.identify(os.environ)
    template = access.template(identity, prompt)
    kind = access.server.kind
    versions = ", ".join(f"{endpoint} ({kind} {version})" for endpoint, version in identity.versions)
    model = f"{identity.model} {identity.digest[:12]} at {visible(versions)}"
    _write(console, [model, f"prompt {prompt.version}", *map(visible, identity.notes), ""])
    return _Trial(
        access=access.for_identity(identity),
        scheme=scheme,
        template=template,
        limits=limits,
        slots=SharedSemaphore.of_this_machine(os.environ, access.max_in_flight),
        console=console,
        view=view_for(console, label_colours(scheme)),
        with_prompt=request.with_prompt,
    )


def _try(trial: _Trial, pages: list[PageRow]) -> list[TriedPage]:
    shown = prompt_lines if trial.with_prompt else short_prompt_lines
    _write(trial.console, shown(trial.template.prompt))
    trial.access.preload(trial.template, os.environ)
    tried = asyncio.run(_ask(trial, pages))
    asked = [item for page in tried for item in page.asked]
    _write(trial.console, prefix_lines(asked))
    if asked and all(item.reason for item in asked):
        raise InferenceError(f"none of {len(asked)} requests was answered", "the reasons are above")
    return tried


async def _ask(trial: _Trial, pages: list[PageRow]) -> list[TriedPage]:
    """One page after the other, each shown as soon as it is answered."""
    access = trial.access
    done: list[TriedPage] = []
    async with ChatClient(access.server, access.timeouts, os.environ, access.streamed) as client:
        asker = PageAsker(
            client,
            access.endpoints,
            trial.template,
            trial.limits,
            trial.scheme,
            trial.slots,
            access.timeouts.total,
            access.policy,
            warms_up=_warms_up(trial, pages),
        )
        for number, page in enumerate(pages, start=1):
            tried = await asker.ask(page)
            done.append(tried)
            title = f"page {number} of {len(pages)}: {page.doc_id} page {page.page_num}"
            lines = page_lines(tried, title, trial.view, trial.template.prompt, with_prompt=trial.with_prompt)
            _write(trial.console, lines)
    return done


def _warms_up(trial: _Trial, pages: list[PageRow]) -> bool:
    """Whether an endpoint gets more than one request, one at a time."""
    requests = sum(len(chunk_page(page.text, trial.limits)) for page in pages)
    each_slot = trial.access.server.warms_each_slot
    return warm_ups_an_endpoint(requests, len(trial.access.endpoints), 1, each_slot=each_slot) > 0


def _survey(
    store: ObjectStore, request: TryRequest, trial: _Trial, open_pages: OpenPages
) -> tuple[BatchSize, list[PageRow]]:
    """The size of what is left to ask, and the pages to show."""
    fingerprint = trial.template.fingerprint

    def is_answered(chunk_sha256: str) -> bool:
        return not index.unanswered(RequestSpan(0, 0, request_key(fingerprint, chunk_sha256)))

    def is_wanted(page: PageRow) -> bool:
        return (request.doc_id is None or page.doc_id == request.doc_id) and (
            request.page_num is None or page.page_num == request.page_num
        )

    size = SizeCount(trial.limits, is_answered)
    with AnswerIndex.read(store, DatasetLayout(request.dataset).answers) as index:
        return survey_batch(open_pages, request.dataset, PageSample(request.pages), size, is_wanted)


def _read_text(path: str) -> str:
    """The file, byte for byte: a line end that is changed would shift every offset."""
    try:
        content = Path(path).read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(
            f"{path} cannot be read ({type(error).__name__})", "give a text file in UTF-8"
        ) from None
    if not text.strip() or len(content) > _LARGEST_FILE:
        raise BatchError(f"{path} is blank or larger than {_LARGEST_FILE:,} bytes", "give the text of a page")
    return text


def _write(console: Console, lines: Iterable[Line]) -> None:
    for line in lines:
        show(console, line)
