"""Checks suggestions against the pages they were made from, row by row, in one streaming pass."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.contracts import SUGGESTIONS, SUGGESTIONS_SORT
from preannotation_assets.tasks.ground_answers import span_id

__all__ = ["MOST_OFFENDERS", "Offence", "Rule", "VerificationReport", "schema_differences", "verify_rows"]

MOST_OFFENDERS: Final = 20

Row = Mapping[str, Any]
PageKey = tuple[str, int]


class Rule(StrEnum):
    """What every published row must obey."""

    PAGE = "its page is in the batch"
    OFFSETS = "0 <= start < end <= length of the page"
    TEXT = "text is page_text[start:end]"
    HASH = "text_sha256 is the page's"
    SPAN_ID = "span_id is made of doc_id, page_num, start, end and label"
    UNIQUE = "span_ids are unique"
    LABEL = "the label is in the label scheme"
    CONFIDENCE = "confidence is null or in [0, 1]"
    ORDER = "rows are sorted by doc_id, page_num, start"
    OVERLAP = "spans do not overlap where the label scheme forbids it"


@dataclass(frozen=True, slots=True)
class Offence:
    """A row that breaks a rule; ids only."""

    rule: Rule
    doc_id: str
    page_num: int
    span_id: str


@dataclass(slots=True)
class VerificationReport:
    """What was found. ``offenders`` holds the first MOST_OFFENDERS."""

    rows: int = 0
    offences: Counter[Rule] = field(default_factory=Counter)
    offenders: list[Offence] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no row breaks a rule."""
        return not self.offences

    def add(self, rule: Rule, row: Row) -> None:
        """Counts an offence."""
        self.offences[rule] += 1
        if len(self.offenders) < MOST_OFFENDERS:
            self.offenders.append(Offence(rule, row["doc_id"], row["page_num"], row["span_id"]))

    def summary(self) -> str:
        """The broken rules with their counts, in one line."""
        return "; ".join(f"{count} x not: {rule.value}" for rule, count in sorted(self.offences.items()))


def schema_differences(schema: pa.Schema) -> list[str]:
    """How a Parquet's columns differ from the twelve of the contract; empty where they do not."""
    if schema.names != SUGGESTIONS.names:
        return [f"columns are {', '.join(schema.names)}"]
    return [
        f"{wanted.name} is {_shown(found)}, not {_shown(wanted)}"
        for found, wanted in zip(schema, SUGGESTIONS, strict=True)
        if (found.type, found.nullable) != (wanted.type, wanted.nullable)
    ]


def _shown(column: pa.Field) -> str:
    return f"{column.type} that may be null" if column.nullable else str(column.type)


def verify_rows(
    rows: Iterable[Row], pages: Iterator[Row], labels: Sequence[str], *, overlaps_allowed: bool
) -> VerificationReport:
    """Checks every row against its page.

    ``pages`` must come sorted by doc_id and page_num, as the rows do; it is read once and one page is
    held at a time, so memory does not grow with the batch.
    """
    report = VerificationReport()
    known_labels = frozenset(labels)
    walk = _PageWalk(pages)
    previous: Row | None = None
    seen_on_page: set[str] = set()
    reach = 0
    for row in rows:
        report.rows += 1
        new_page = previous is None or _page_key(previous) != _page_key(row)
        if new_page:
            seen_on_page.clear()
            reach = 0
        if previous is not None and _sort_key(row) < _sort_key(previous):
            report.add(Rule.ORDER, row)
        if row["span_id"] in seen_on_page:
            report.add(Rule.UNIQUE, row)
        if not overlaps_allowed and row["start"] < reach:
            report.add(Rule.OVERLAP, row)
        _verify_values(row, known_labels, report)
        _verify_place(row, walk.find(_page_key(row)), report)
        seen_on_page.add(row["span_id"])
        reach = max(reach, row["end"])
        previous = row
    return report


class _PageWalk:
    """Walks forward through sorted pages."""

    def __init__(self, pages: Iterator[Row]) -> None:
        self._pages = pages
        self._current: Row | None = next(pages, None)

    def find(self, key: PageKey) -> Row | None:
        """The page of that key; None where there is none, or it was passed already."""
        while self._current is not None and _page_key(self._current) < key:
            self._current = next(self._pages, None)
        return self._current if self._current is not None and _page_key(self._current) == key else None


def _verify_values(row: Row, labels: frozenset[str], report: VerificationReport) -> None:
    expected = span_id(row["doc_id"], row["page_num"], row["start"], row["end"], row["label"])
    if row["span_id"] != expected:
        report.add(Rule.SPAN_ID, row)
    if row["label"] not in labels:
        report.add(Rule.LABEL, row)
    confidence = row["confidence"]
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        report.add(Rule.CONFIDENCE, row)


def _verify_place(row: Row, page: Row | None, report: VerificationReport) -> None:
    if page is None:
        report.add(Rule.PAGE, row)
        return
    if page["text_sha256"] != row["text_sha256"]:
        report.add(Rule.HASH, row)
    if not 0 <= row["start"] < row["end"] <= len(page["text"]):
        report.add(Rule.OFFSETS, row)
    elif page["text"][row["start"] : row["end"]] != row["text"]:
        report.add(Rule.TEXT, row)


def _page_key(row: Row) -> PageKey:
    return row["doc_id"], row["page_num"]


def _sort_key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in SUGGESTIONS_SORT)
