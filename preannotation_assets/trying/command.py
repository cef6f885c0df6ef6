"""``preannotate try``: the steps of a run on a few pages, shown on the terminal and kept nowhere."""

import asyncio
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from preannotation_assets.errors import BatchError, InferenceError, SettingsError
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import PageRow, SourceRow, check_pages, text_sha256
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.inference.client import ChatClient, access_headers
from preannotation_assets.inference.journal import AnswerIndex, Piece
from preannotation_assets.inference.protocol import RequestTemplate, request_key
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import ObjectStore, open_store
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import DatasetLayout, calibration_key
from preannotation_assets.manifests import Calibration, ChunksManifest
from preannotation_assets.resources.ollama import OllamaResource
from preannotation_assets.resources.warehouse import WarehouseResource
from preannotation_assets.settings import DEFAULT_ENDPOINT, Settings
from preannotation_assets.trying.asking import AskedChunk, PageAsker, SharedSlots, measures_of
from preannotation_assets.trying.report import (
    Capacity,
    page_lines,
    projection_lines,
    prompt_lines,
    short_prompt_lines,
)
from preannotation_assets.trying.survey import BatchSize, PageSample, SizeCount, survey
from preannotation_assets.trying.terminal import ColourStyle, PlainStyle, Style, colours_of, visible

__all__ = ["TryRequest", "style_for", "try_on_terminal", "try_pages"]

_LARGEST_FILE: Final = 10_000_000
_INTERRUPTED: Final = 130


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

    ollama: OllamaResource
    scheme: LabelScheme
    template: RequestTemplate
    limits: ChunkLimits
    slots: SharedSlots
    style: Style
    with_prompt: bool


def style_for(environment: Mapping[str, str], stream: TextIO, labels: Iterable[str]) -> Style:
    """Colours on a terminal, unless NO_COLOR (no-color.org) is set or the terminal is dumb."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" or not stream.isatty():
        return PlainStyle()
    return ColourStyle(colours_of(list(labels)))


def try_on_terminal(settings: Settings, request: TryRequest) -> int:
    """Tries pages on standard output; the exit status: 0, or 130 where it was interrupted.

    Raises:
        PreannotationError: as ``try_pages`` does.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try_pages(settings, request, sys.stdout)
    except BrokenPipeError:
        # The reader, as `head` or `less`, has seen enough; Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("preannotate: interrupted; nothing is kept\n")
        return _INTERRUPTED
    return 0


def try_pages(settings: Settings, request: TryRequest, out: TextIO) -> None:
    """Asks about a few pages, one request at a time, and writes what came of it to ``out``.

    Raises:
        PreannotationError: something is missing, no server serves a request, or no request was answered.
    """
    ollama = _ollama(settings)
    scheme = load_label_scheme(settings.labels)
    prompt = build_prompt(scheme)
    ollama.require_room(prompt)
    store = open_store(settings.location())
    limits = _limits(settings, store, request.dataset)
    text = _read_text(request.text_file) if request.text_file else ""
    identity = ollama.identify()
    template = ollama.template(identity, prompt)
    slots = SharedSlots(_slot_folder(os.environ), ollama.max_in_flight)
    style = style_for(os.environ, out, scheme.label_names)
    trial = _Trial(ollama, scheme, template, limits, slots, style, request.with_prompt)
    versions = ", ".join(f"{endpoint} (Ollama {version})" for endpoint, version in identity.versions)
    _write(
        out,
        [f"{identity.model} {identity.digest[:12]} at {visible(versions)}", f"prompt {prompt.version}", ""],
    )
    if request.text_file:
        _try(trial, [PageRow(request.text_file, 1, text, text_sha256(text))], out)
        return
    size, pages = _survey(settings, store, request, template, limits)
    asked = _try(trial, pages, out)
    capacity = Capacity(len(ollama.addresses()), ollama.max_in_flight)
    _write(out, projection_lines(size, asked, measures_of(asked), capacity, style))
    if request.doc_id is not None:
        _write(out, ["these pages were chosen and not drawn, so the interval may be far off"])


def _try(trial: _Trial, pages: list[PageRow], out: TextIO) -> list[AskedChunk]:
    prompt = trial.template.prompt
    shown = prompt_lines if trial.with_prompt else short_prompt_lines
    _write(out, shown(prompt, trial.style))
    trial.ollama.preload(trial.template)
    asked = asyncio.run(_ask(trial, pages, out))
    if asked and all(item.reason for item in asked):
        raise InferenceError(
            f"none of {len(asked)} requests was answered", "the reasons are above; a run would fail as well"
        )
    return asked


async def _ask(trial: _Trial, pages: list[PageRow], out: TextIO) -> list[AskedChunk]:
    """One page after the other, each shown as soon as it is answered."""
    timeouts = trial.ollama.timeouts()
    asked: list[AskedChunk] = []
    async with ChatClient(timeouts, access_headers(os.environ), trial.ollama.stream) as client:
        asker = PageAsker(
            client,
            trial.ollama.addresses(),
            trial.template,
            trial.limits,
            trial.scheme,
            trial.slots,
            timeouts.total,
        )
        for number, page in enumerate(pages, start=1):
            tried = await asker.ask(page)
            asked += tried.asked
            title = f"page {number} of {len(pages)}: {page.doc_id} page {page.page_num}"
            lines = page_lines(
                tried, title, trial.style, trial.template.prompt, with_prompt=trial.with_prompt
            )
            _write(out, lines)
    return asked


def _survey(
    settings: Settings,
    store: ObjectStore,
    request: TryRequest,
    template: RequestTemplate,
    limits: ChunkLimits,
) -> tuple[BatchSize, list[PageRow]]:
    """The size of the batch and the pages to show, in one pass."""
    index = AnswerIndex.read(store, DatasetLayout(request.dataset).journal)
    fingerprint = template.fingerprint

    def is_answered(chunk_sha256: str) -> bool:
        return not index.unanswered(Piece(0, 0, request_key(fingerprint, chunk_sha256)))

    def is_wanted(page: PageRow) -> bool:
        return (request.doc_id is None or page.doc_id == request.doc_id) and (
            request.page_num is None or page.page_num == request.page_num
        )

    sample, size = PageSample(request.pages), SizeCount(limits, is_answered)
    warehouse = WarehouseResource(database=settings.database, batch_condition=settings.batch_condition)
    with warehouse.open() as source:
        survey(_good_pages(source.read_pages(request.dataset)), sample, size, is_wanted)
    total, pages = size.total(), sample.pages()
    if not total.pages:
        raise BatchError(f"the warehouse has no pages of {request.dataset}", "check the name of the dataset")
    if not pages:
        raise BatchError(f"no such page of {request.dataset} has text", "check --doc-id and --page")
    return total, pages


def _good_pages(rows: Iterable[SourceRow]) -> Iterator[PageRow]:
    return (page for page in check_pages(rows) if isinstance(page, PageRow))


def _ollama(settings: Settings) -> OllamaResource:
    return OllamaResource(
        endpoints=list(settings.endpoints) or [DEFAULT_ENDPOINT],
        model=settings.model,
        max_in_flight=settings.max_in_flight,
        num_ctx=settings.num_ctx,
        num_predict=settings.num_predict,
        chunk_tokens=settings.chunk_tokens,
        overlap_tokens=settings.overlap_tokens,
        stream=settings.stream,
    )


def _limits(settings: Settings, store: ObjectStore, dataset: str) -> ChunkLimits:
    """As the asset ``chunks`` has them: with the batch's own calibration, or what the model has taught."""
    calibration = 1.0
    if dataset:
        cut = read_manifest(store, DatasetLayout(dataset).stage_manifest("chunks"), ChunksManifest)
        learned = read_manifest(store, calibration_key(settings.model), Calibration)
        if cut:
            calibration = cut.calibration
        elif learned and learned.model == settings.model:
            calibration = learned.factor
    try:
        return ChunkLimits(settings.chunk_tokens, settings.overlap_tokens, calibration)
    except ValueError as error:
        raise SettingsError(
            "PREANNOTATION_CHUNK_TOKENS and PREANNOTATION_OVERLAP_TOKENS do not fit", str(error)
        ) from None


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


def _slot_folder(environment: Mapping[str, str]) -> Path | None:
    """Where the runs of this machine share the cap; None where there has been none."""
    configured = environment.get("DAGSTER_HOME", "")
    home = Path(configured).expanduser() if configured else Path(".dagster")
    folder = home.absolute() / "storage" / "ollama_slots"
    return folder if folder.is_dir() else None


def _write(out: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        out.write(f"{line}\n")
    out.flush()
