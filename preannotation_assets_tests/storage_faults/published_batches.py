"""Two batches of different size and content for one dataset, and the publishing of them.

As a program it reads lines ``ROOT<tab>ENDPOINT<tab>COMMAND`` and carries each out in a process of its own,
whose id it writes first; when that process is gone it writes ``ended``. The endpoint is empty for a
folder. Commands: ``loop`` publishes the two in turn until it is killed, with a line each;
``publish:NAME`` publishes one; ``publish:NAME:HALT`` halts at a Halt of a folder until it is killed.
"""

import functools
import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, BinaryIO
from unittest import mock

import pyarrow as pa

from preannotation_assets.contracts import PAGES, SUGGESTIONS
from preannotation_assets.lake import ObjectStore, StoreLocation, local, open_store, read_table, write_table
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import PagesManifest, PageVersion, SuggestionsManifest
from preannotation_assets.publishing import publisher
from preannotation_assets.publishing.publisher import Publication, publish
from preannotation_assets.publishing.verification import SpanRules

__all__ = ["BATCHES", "LABELS", "LAYOUT", "Batch", "Halt", "expected_table", "publish_batch", "write_pages"]

LAYOUT = DatasetLayout("vessels_ocr_1")
LABELS = ("vessel_name", "port")
RULES = SpanRules(LABELS, overlaps_allowed=False)
PARTS = 4
PAGES_A_PART = 20
SNAPSHOT = PagesManifest(
    dataset=LAYOUT.dataset, version="v1", content_hash="h", part_rows=[PAGES_A_PART] * PARTS,
    pages=PARTS * PAGES_A_PART, empty_pages=0, characters=0, collapsed_duplicates=0, failed_pages=[],
    narrowed_to_doc_ids=None, doc_ids_not_found=0,
)  # fmt: skip
TEXT = "The Marie-Louise left Hamburg for Rotterdam, and Hansa IV left Bergen. " * 8

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """``spans`` on every page, each ``length`` code points long."""

    name: str
    spans: int
    length: int


BATCHES = {batch.name: batch for batch in (Batch("small", 3, 6), Batch("large", 12, 11))}


class Halt(StrEnum):
    """Where a publisher into a folder halts."""

    MERGE = "merge"
    UPLOAD = "upload"
    RENAME = "rename"
    MANIFEST = "manifest"


def page_rows(part: int) -> list[Row]:
    numbers = range(part * PAGES_A_PART, (part + 1) * PAGES_A_PART)
    texts = {f"vessels_ocr_1/{number:04d}": f"{number:04d} {TEXT}" for number in numbers}
    return [
        {"doc_id": doc_id, "page_num": 1, "text": text, "text_sha256": _sha256(text)}
        for doc_id, text in texts.items()
    ]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(batch: Batch, part: int) -> Iterator[Row]:
    for page in page_rows(part):
        for index in range(batch.spans):
            start = index * 20
            end = start + batch.length
            label = LABELS[index % 2]
            digest = hashlib.sha1(f"{start}:{end}:{label}".encode()).hexdigest()
            yield {
                "doc_id": page["doc_id"],
                "page_num": 1,
                "span_id": f"{page['doc_id']}:1:{digest}",
                "label": label,
                "start": start,
                "end": end,
                "text": page["text"][start:end],
                "text_sha256": page["text_sha256"],
                "confidence": 0.5,
                "model": "llama3.3:70b",
                "model_version": batch.name,
                "generated_at": datetime(2026, 1, 2, tzinfo=UTC),
            }


@functools.cache
def _part_table(batch: Batch, part: int) -> pa.Table:
    return pa.Table.from_pylist(list(_rows(batch, part)), schema=SUGGESTIONS)


@functools.cache
def expected_table(batch: Batch) -> pa.Table:
    """What a reader must see of a batch, all of it."""
    return pa.concat_tables(_part_table(batch, part) for part in range(PARTS))


def write_pages(store: ObjectStore) -> None:
    """The snapshot both batches are of."""
    for part in range(PARTS):
        pages = pa.Table.from_pylist(page_rows(part), schema=PAGES)
        write_table(store, part_key(LAYOUT.stage("pages", "v1"), part), pages)
    write_manifest(store, LAYOUT.stage_manifest("pages"), SNAPSHOT)


def publish_batch(store: ObjectStore, batch: Batch) -> Publication:
    """Stages the parts of a batch, as the tasks do, and publishes them."""
    keys = [part_key(f"{LAYOUT.stage('suggestions', batch.name)}/rows", part) for part in range(PARTS)]
    for part, key in enumerate(keys):
        if store.stat(key) is None:
            write_table(store, key, _part_table(batch, part))
    table = expected_table(batch)
    labels = table["label"].to_pylist()
    without: list[PageVersion] = []
    draft = SuggestionsManifest(
        dataset=LAYOUT.dataset, rows=0, bytes=0, pages_processed=PARTS * PAGES_A_PART,
        pages_with_spans=PARTS * PAGES_A_PART, pages_without_spans=without, failed_pages=[],
        spans_by_label={label: labels.count(label) for label in LABELS}, quotes_by_outcome={},
        groundings_by_match={}, model="llama3.3:70b", model_version=batch.name, prompt_version="p",
        input_version=batch.name, content_hash="", parquet_etag="", run_id=batch.name,
        published_at=datetime.now(UTC),
    )  # fmt: skip
    return publish(store, LAYOUT, keys, SNAPSHOT, draft, RULES, most_rows_lost=1.0)


def _halt() -> None:
    _say("halted")
    signal.pause()


def _halting_read(store: ObjectStore, key: str) -> pa.Table:
    if key.endswith(f"rows/part-{PARTS // 2:05d}.parquet"):
        _halt()
    return read_table(store, key)


def _halting_copy(source: BinaryIO, target: BinaryIO) -> str:
    content = source.read()
    target.write(content[: len(content) // 2])
    target.flush()
    _halt()
    return ""


def _halting_step(*arguments: object) -> None:
    _halt()


def _halting_at(halt: Halt) -> Any:
    """Puts a halt in the place of one step; the steps before ``publish`` are done already."""
    return {
        Halt.MERGE: lambda: mock.patch.object(publisher, "read_table", _halting_read),
        Halt.UPLOAD: lambda: mock.patch.object(local, "_copy", _halting_copy),
        Halt.RENAME: lambda: mock.patch.object(os, "fsync", _halting_step),
        Halt.MANIFEST: lambda: mock.patch.object(publisher, "write_manifest", _halting_step),
    }[halt]()


def _carry_out(root: str, endpoint: str, command: str) -> None:
    store = open_store(StoreLocation(root, endpoint or None))
    action, _, rest = command.partition(":")
    if action == "loop":
        while True:
            for batch in BATCHES.values():
                publish_batch(store, batch)
                _say(batch.name)
    name, _, halt = rest.partition(":")
    with _halting_at(Halt(halt)) if halt else nullcontext():
        publish_batch(store, BATCHES[name])


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _main() -> None:
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _say(os.getpid())
            _carry_out(*line.rstrip("\n").split("\t"))
            os._exit(0)
        os.waitpid(process, 0)
        _say("ended")


if __name__ == "__main__":
    _main()
