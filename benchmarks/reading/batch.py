"""A batch of made-up pages, and answers to them of realistic size, all of which stand on their page."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import duckdb
import pyarrow as pa

from preannotation_assets.contracts import ANSWERS
from preannotation_assets.extraction.answers import write_answer
from preannotation_assets.lake import ObjectStore, write_table
from preannotation_assets.model_servers.template import request_key
from preannotation_assets.simulator.tokens import split_tokens
from preannotation_assets.simulator.vocabulary import COMMON_WORDS, PLACES

__all__ = ["DATASET", "BatchPage", "change_pages", "make_page", "write_answers", "write_warehouse"]

DATASET: Final = "vessels_ocr_1"

_PAGE_CHARACTERS: Final = 3000
_PAGES_A_DOCUMENT: Final = 20
_ANSWERS_A_FILE: Final = 40
_WORDS: Final = tuple(sorted(word for word in COMMON_WORDS if word.isalpha()))
_SHIP_WORDS: Final = ("Star", "Queen", "Trader", "Spirit", "Pioneer", "Venture", "Glory", "Carrier")


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page, and the label and quote of every span on it in reading order."""

    number: int
    text: str
    spans: Sequence[tuple[str, str]]

    def row(self) -> tuple[str, int, str, str]:
        """The row of the view of pages."""
        document, page = divmod(self.number, _PAGES_A_DOCUMENT)
        return f"{DATASET}/{document:06}", page + 1, self.text, _sha256(self.text)


def make_page(
    number: int, edition: int = 0, spans: int | None = None, characters: int = _PAGE_CHARACTERS
) -> BatchPage:
    """The page of that number: 5 to 12 spans or so many; other text in each edition."""
    chance = random.Random(f"{number} {edition}")
    return _page(number, chance, [_span(chance) for _ in range(spans or chance.randint(5, 12))], characters)


def _page(number: int, chance: random.Random, spans: Sequence[tuple[str, str]], characters: int) -> BatchPage:
    room = characters // len(spans)
    text = "\n".join(f"{_prose(chance, room - len(quote))} {quote}." for _, quote in spans)
    return BatchPage(number, text, spans)


def _span(chance: random.Random) -> tuple[str, str]:
    label = chance.choice(("vessel_name", "port", "imo_number", "date"))
    if label == "vessel_name":
        return label, f"{chance.choice(_WORDS).title()} {chance.choice(_SHIP_WORDS)}"
    if label == "port":
        return label, chance.choice(PLACES)
    if label == "imo_number":
        return label, str(chance.randint(9_000_000, 9_999_999))
    return label, f"{chance.randint(1, 28)} March {chance.randint(1890, 1999)}"


def _prose(chance: random.Random, characters: int) -> str:
    words: list[str] = []
    length = 0
    while length < characters:
        words.append(chance.choice(_WORDS) if chance.random() < 0.9 else str(chance.randint(0, 9999)))
        length += len(words[-1]) + 1
    return " ".join(words)


def write_warehouse(path: Path, pages: Sequence[BatchPage]) -> None:
    """Writes a DuckDB file with the view of pages, or adds pages to it."""
    table = _table(pages)
    with duckdb.connect(str(path)) as connection:
        connection.register("made", table)
        connection.execute("CREATE TABLE IF NOT EXISTS p AS SELECT * FROM made LIMIT 0")
        connection.execute("INSERT INTO p SELECT * FROM made")
        connection.execute("CREATE VIEW IF NOT EXISTS vw_argilla_pages AS SELECT * FROM p")


def change_pages(path: Path, pages: Sequence[BatchPage]) -> None:
    """Gives pages of the warehouse the text they have here."""
    table = _table(pages)
    with duckdb.connect(str(path)) as connection:
        connection.register("made", table)
        connection.execute(
            "UPDATE p SET text = made.text, text_sha256 = made.text_sha256 FROM made "
            "WHERE p.doc_id = made.doc_id AND p.page_num = made.page_num"
        )


def _table(pages: Sequence[BatchPage]) -> pa.Table:
    names = ("doc_id", "page_num", "text", "text_sha256")
    columns = zip(*(page.row() for page in pages), strict=True)
    return pa.table(dict(zip(names, map(list, columns), strict=True)))


def write_answers(store: ObjectStore, folder: str, pages: Sequence[BatchPage], fingerprint: str) -> None:
    """Fills the answer store as two tasks of a run do, each in files of 40 answers.

    Every page must be one chunk.
    """
    half = (len(pages) + 1) // 2
    for share in (pages[:half], pages[half:]):
        for start in range(0, len(share), _ANSWERS_A_FILE):
            rows = list(_answer_rows(share[start : start + _ANSWERS_A_FILE], fingerprint, start))
            name = uuid5(NAMESPACE_URL, rows[0]["request_key"])
            write_table(store, f"{folder}/{name}.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))


def _answer_rows(pages: Sequence[BatchPage], fingerprint: str, first: int) -> Iterator[dict[str, Any]]:
    """The answers of a task to its pages from number ``first`` on."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number, page in enumerate(pages, first):
        answer = write_answer(page.spans)
        lengths = [len(token) for token in split_tokens(answer)]
        chance = random.Random(page.number)
        yield {
            **dict.fromkeys(ANSWERS.names),
            "request_key": request_key(fingerprint, _sha256(page.text)),
            "status": "answered",
            "answer": answer,
            "token_lengths": lengths,
            "token_logprobs": [-chance.expovariate(10.0) for _ in lengths],
            "prompt_tokens": 2000 + len(page.text) // 4,
            "answer_tokens": len(lengths),
            "estimated_prompt_tokens": 2000 + len(page.text) // 4,
            "attempts": 1,
            "endpoint": "http://127.0.0.1:11434",
            "latency_seconds": chance.uniform(3.0, 20.0),
            "queue_seconds": chance.uniform(0.0, 1.0),
            "answered_at": began + timedelta(seconds=number),
            "run_id": "an-earlier-run",
        }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
