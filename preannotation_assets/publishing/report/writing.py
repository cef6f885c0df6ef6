"""Makes a report and puts it where it belongs: into the working data of the lake, or into files."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from preannotation_assets.errors import ObjectNotFoundError, SettingsError
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.page_lists import page_lists
from preannotation_assets.publishing.private_files import replaced
from preannotation_assets.publishing.published_file import downloaded
from preannotation_assets.publishing.report.data import Counts, ReportedPage, packed
from preannotation_assets.publishing.report.documents import (
    Chunk,
    FileLine,
    Overview,
    sources,
    write_index,
    write_pages,
)
from preannotation_assets.publishing.report.reading import Batch, read_batch, read_pages
from preannotation_assets.publishing.request_account import RequestAccount, read_requests
from preannotation_assets.publishing.shown_ids import shown_id, shown_page
from preannotation_assets.temporary_folders import temporary_folder

__all__ = ["MOST_BYTES", "MOST_PAGES", "report_subject", "save_report", "write_report"]

MOST_PAGES: Final = 6_000
"""Pages of one file; more are in the next."""

MOST_BYTES: Final = 20_000_000
"""Of packed pages in one file; the chunk that passes it is its last."""

_CHUNK_PAGES: Final = 50
_HEAD_BYTES: Final = 4096


def write_report(
    store: ObjectStore, dataset: str, scheme: LabelScheme, requests: RequestAccount | None = None
) -> str:
    """Writes the report into the working data of the lake, if it is not there already; its address.

    ``requests`` are what the answers came to, where they were read already.

    Raises:
        BatchError: the dataset is not materialized.
        StorageError: the lake cannot be read or written.
        VerificationError: the published Parquet breaks the contract, or is another than its manifest names.
    """
    layout, batch = DatasetLayout(dataset), read_batch(store, dataset)
    subject = report_subject(batch, scheme)
    if subject.encode() not in _head(store, layout.preview):
        overview = Overview(batch.published, scheme, requests or _requests(store, batch), subject)
        with temporary_folder() as folder:
            made = _make(store, batch, overview, folder, Path(layout.preview).name)
            # What links to the others comes last.
            for path in reversed(made):
                store.upload(f"{layout.work}/{path.name}", path)
        names = {f"{layout.work}/{path.name}" for path in made}
        there = [entry.key for entry in store.list(layout.preview_parts)]
        store.delete(key for key in there if key not in names)
    return store.uri(layout.preview)


def save_report(store: ObjectStore, dataset: str, scheme: LabelScheme, target: Path) -> list[Path]:
    """Writes the report into a file, of its owner only, and into others beside it where there are many pages.

    Each replaces what is there as a whole. Writes nothing into the lake.

    Raises:
        BatchError: the dataset is not materialized.
        SettingsError: the files cannot be written.
        StorageError: the lake cannot be read.
        VerificationError: the published Parquet breaks the contract, or is another than its manifest names.
    """
    if target.is_dir():
        raise SettingsError(f"the preview cannot be written to {target}", "give the name of a file")
    batch = read_batch(store, dataset)
    with temporary_folder() as folder:
        overview = Overview(batch.published, scheme, _requests(store, batch), report_subject(batch, scheme))
        made = _make(store, batch, overview, folder, target.name)
        try:
            for path in made:
                with replaced(target.with_name(path.name)) as draft:
                    shutil.copyfile(path, draft)
        except OSError as error:
            raise SettingsError(
                f"the preview cannot be written to {target} ({type(error).__name__})"
            ) from None
    return [target.with_name(path.name) for path in made]


def report_subject(batch: Batch, scheme: LabelScheme) -> str:
    """Names all that a report is made of: pages, publication, how labels look, and its HTML's sources."""
    looks = [(label.name, label.title, label.color) for label in scheme.labels]
    said = (batch.pages.version, looks, sources(), MOST_PAGES, MOST_BYTES)
    digest = hashlib.sha256(repr(said).encode())
    lists = page_lists(type(batch.published))
    digest.update(batch.published.model_dump_json(exclude=set(lists)).encode())
    for name in lists:
        for page in getattr(batch.published, name):
            digest.update(repr(page).encode())
    return digest.hexdigest()


def _head(store: ObjectStore, key: str) -> bytes:
    """How the report that is there begins; nothing where there is none."""
    try:
        reader = store.open(key)
    except ObjectNotFoundError:
        return b""
    try:
        return reader.read(_HEAD_BYTES)
    finally:
        reader.close()


@dataclass(slots=True)
class _Part:
    """The pages of one file: packed in a local file, two lines a chunk."""

    path: Path
    bytes: int = 0
    first: str = ""
    last: str = ""
    counts: Counts = field(default_factory=Counts)

    @property
    def is_full(self) -> bool:
        return self.counts.pages >= MOST_PAGES or self.bytes >= MOST_BYTES

    def add(self, pages: list[ReportedPage]) -> None:
        """Packs a chunk of pages."""
        for page in pages:
            self.counts.add(page)
        self.first = self.first or _name(pages[0])
        self.last = _name(pages[-1])
        with self.path.open("a", encoding="ascii") as file:
            for line in (packed([page.marks for page in pages]), packed([page.content for page in pages])):
                self.bytes += file.write(f"{line}\n")

    def chunks(self) -> Iterator[Chunk]:
        """The chunks, one at a time."""
        if not self.bytes:
            return
        with self.path.open(encoding="ascii") as file:
            for number, line in enumerate(file):
                yield Chunk("texts" if number % 2 else "marks", line.rstrip("\n"))


def _requests(store: ObjectStore, batch: Batch) -> RequestAccount:
    return read_requests(store, batch.layout, batch.outputs) if batch.outputs else RequestAccount()


def _make(store: ObjectStore, batch: Batch, overview: Overview, folder: Path, name: str) -> list[Path]:
    """The files of a report, made below a folder; the one to be opened is the first."""
    with downloaded(store, batch.layout, batch.published) as published:
        parts = _packed_parts(read_pages(store, batch, published), folder)
    main = folder / "files" / name
    main.parent.mkdir()
    if len(parts) == 1:
        _write_part(main, overview, parts[0], (1, 1))
        return [main]
    files = []
    for number, part in enumerate(parts, 1):
        path = main.with_name(f"{main.stem}-{number}{main.suffix}")
        _write_part(path, overview, part, (number, len(parts)))
        files.append(path)
    lines = [
        FileLine(path.name, part.first, part.last, part.counts)
        for path, part in zip(files, parts, strict=True)
    ]
    total = Counts()
    for part in parts:
        total.take_in(part.counts)
    with main.open("w", encoding="utf-8") as target:
        write_index(target, overview, total, lines)
    return [main, *files]


def _write_part(path: Path, overview: Overview, part: _Part, place: tuple[int, int]) -> None:
    with path.open("w", encoding="utf-8") as target:
        write_pages(target, overview, part.counts, part.chunks(), place)


def _packed_parts(pages: Iterator[ReportedPage], folder: Path) -> list[_Part]:
    """All pages, packed; at least one part, which may be empty."""
    parts = [_Part(folder / "1.packed")]
    for chunk in _batched(pages, _CHUNK_PAGES):
        if parts[-1].is_full:
            parts.append(_Part(folder / f"{len(parts) + 1}.packed"))
        parts[-1].add(chunk)
    return parts


def _batched(pages: Iterator[ReportedPage], size: int) -> Iterator[list[ReportedPage]]:
    chunk: list[ReportedPage] = []
    for page in pages:
        chunk.append(page)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _name(page: ReportedPage) -> str:
    return shown_id(page.doc_id) if page.page_num is None else shown_page(page.doc_id, page.page_num)
