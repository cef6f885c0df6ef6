"""Checks suggestions against the pages they were made from, row by row, in one streaming pass."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.contracts import SUGGESTIONS, SUGGESTIONS_SORT, span_id
from preannotation_assets.extraction.argilla_rules import MOST_SPANS, agent_of, first_shift, is_agent
from preannotation_assets.lake import Row
from preannotation_assets.publishing.aligned_pages import PageKey
from preannotation_assets.publishing.page_walk import PageWalk
from preannotation_assets.publishing.shown_ids import shown_id, shown_page

__all__ = [
    "MOST_OFFENDERS",
    "Offence",
    "Rule",
    "SpanRules",
    "VerificationReport",
    "schema_differences",
    "verify_rows",
]

MOST_OFFENDERS: Final = 20
"""How many offenders of one rule a report names."""

_MOST_SHIFTED_NAMED: Final = 10


class Rule(StrEnum):
    """What every published row must obey, and every page in the manifest beside them."""

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
    AGENT = "model/model_version is an agent that Argilla takes"
    ONE_AGENT = "the rows of a page have one model and model_version"
    SPANS = f"a page has at most {MOST_SPANS:,} spans"
    STATE = "a page has rows, or is listed without spans, or is listed as failed"


@dataclass(frozen=True, slots=True)
class SpanRules:
    """What the label scheme says of rows: the labels there are, and whether spans may overlap."""

    labels: tuple[str, ...]
    overlaps_allowed: bool


@dataclass(frozen=True, slots=True)
class Offence:
    """A row, or a page where ``span_id`` is empty, that breaks a rule; ids only."""

    rule: Rule
    doc_id: str
    page_num: int
    span_id: str


@dataclass(slots=True)
class VerificationReport:
    """What was found.

    ``offenders`` holds the first MOST_OFFENDERS of each rule; ``differences`` says where the manifest's
    counts are not the Parquet's. ``shifted_pages`` counts pages that Argilla's web page marks in the wrong
    places; they break no rule. The first ten of them are in ``first_shifted``, where rows were read.
    """

    rows: int = 0
    shifted_pages: int = 0
    offences: Counter[Rule] = field(default_factory=Counter)
    offenders: list[Offence] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    # What was found when it was published is recalled as a count.
    first_shifted: list[PageKey] = field(default_factory=list, compare=False)

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.offences and not self.differences

    def add(self, rule: Rule, doc_id: str, page_num: int, span: str = "") -> None:
        """Counts an offence."""
        self.offences[rule] += 1
        if self.offences[rule] <= MOST_OFFENDERS:
            self.offenders.append(Offence(rule, doc_id, page_num, span))

    def add_shifted(self, page: PageKey) -> None:
        """Counts a page that Argilla's web page marks in the wrong places."""
        self.shifted_pages += 1
        if self.shifted_pages <= _MOST_SHIFTED_NAMED:
            self.first_shifted.append(page)

    def add_row(self, rule: Rule, row: Row) -> None:
        """Counts an offence of a row."""
        self.add(rule, row["doc_id"], row["page_num"], row["span_id"])

    def take_in(self, other: "VerificationReport") -> None:
        """Adds what another report found about the same rows and pages."""
        self.offences += other.offences
        self.offenders += other.offenders
        self.differences += other.differences

    def lines(self) -> list[str]:
        """What a reader of ``preannotate verify`` is told: the offenders one by one, then all in one line."""
        said = [
            f"{shown_page(offender.doc_id, offender.page_num)}{' ' * bool(offender.span_id)}"
            f"{shown_id(offender.span_id)}: not: {offender.rule.value}"
            for offender in self.offenders
        ]
        if self.shifted_pages:
            said.append(
                f"{self.shifted_pages} page(s) whose spans Argilla's web page will mark shifted unless they "
                "are loaded as docs/argilla-loader.md says (text_to_show); the data are right"
            )
            said += [f"marked shifted: {shown_page(*page)}" for page in self.first_shifted]
        return [*said, f"{self.rows} rows, {'all right' if self.passed else self.summary()}"]

    def summary(self) -> str:
        """The broken rules with their counts, in one line."""
        broken = [
            f"{count} x not: {rule.value}{self._first(rule)}" for rule, count in sorted(self.offences.items())
        ]
        return "; ".join([*broken, *self.differences])

    def _first(self, rule: Rule) -> str:
        """The first page that breaks a rule; the rules themselves do not say which."""
        first = next((offender for offender in self.offenders if offender.rule is rule), None)
        return f" (first {shown_page(first.doc_id, first.page_num)})" if first else ""


def schema_differences(schema: pa.Schema) -> list[str]:
    """How a Parquet's columns differ from the twelve of the contract; empty where they do not."""
    if schema.names != SUGGESTIONS.names:
        return [f"columns are {shown_id(', '.join(schema.names))}"]
    return [
        f"{wanted.name} is {_shown(found)}, not {_shown(wanted)}"
        for found, wanted in zip(schema, SUGGESTIONS, strict=True)
        if (found.type, found.nullable) != (wanted.type, wanted.nullable)
    ]


def _shown(column: pa.Field) -> str:
    shown = shown_id(str(column.type))
    return f"{shown} that may be null" if column.nullable else shown


def verify_rows(walk: PageWalk, labels: Sequence[str], *, overlaps_allowed: bool) -> VerificationReport:
    """Checks every row against its page, and walks to the end."""
    report = VerificationReport()
    known_labels = frozenset(labels)
    previous: tuple[Any, ...] | None = None
    for walked in walk:
        if not walked.rows:
            continue
        opened = _open_page(walked.key, walked.page, walked.rows[0], report)
        for row in walked.rows:
            report.rows += 1
            place = _sort_key(row)
            if previous is not None and place < previous:
                report.add_row(Rule.ORDER, row)
            _verify_on_page(row, opened, report, overlaps_allowed=overlaps_allowed)
            _verify_values(row, known_labels, report)
            _verify_place(row, opened.page, report)
            previous = place
    return report


@dataclass(slots=True)
class _OpenPage:
    """The page whose rows are being read. ``reach`` is the greatest end so far, in code points."""

    key: PageKey
    page: Row | None
    agent: tuple[str, str]
    first_shift: int | None
    span_ids: set[str] = field(default_factory=set)
    rows: int = 0
    reach: int = 0


def _open_page(key: PageKey, page: Row | None, first: Row, report: VerificationReport) -> _OpenPage:
    agent = first["model"], first["model_version"]
    if not is_agent(agent_of(*agent)):
        report.add(Rule.AGENT, *key)
    return _OpenPage(key, page, agent, first_shift(page["text"]) if page else None)


def _verify_on_page(
    row: Row, opened: _OpenPage, report: VerificationReport, *, overlaps_allowed: bool
) -> None:
    """Checks a row against the others of its page, and takes note of it."""
    opened.rows += 1
    if opened.rows == MOST_SPANS + 1:
        report.add(Rule.SPANS, *opened.key)
    if row["span_id"] in opened.span_ids:
        report.add_row(Rule.UNIQUE, row)
    if not overlaps_allowed and row["start"] < opened.reach:
        report.add_row(Rule.OVERLAP, row)
    if (row["model"], row["model_version"]) != opened.agent:
        report.add_row(Rule.ONE_AGENT, row)
    if opened.first_shift is not None and row["end"] > opened.first_shift:
        report.add_shifted(opened.key)
        opened.first_shift = None
    opened.span_ids.add(row["span_id"])
    opened.reach = max(opened.reach, row["end"])


def _verify_values(row: Row, labels: frozenset[str], report: VerificationReport) -> None:
    expected = span_id(row["doc_id"], row["page_num"], row["start"], row["end"], row["label"])
    if row["span_id"] != expected:
        report.add_row(Rule.SPAN_ID, row)
    if row["label"] not in labels:
        report.add_row(Rule.LABEL, row)
    confidence = row["confidence"]
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        report.add_row(Rule.CONFIDENCE, row)


def _verify_place(row: Row, page: Row | None, report: VerificationReport) -> None:
    if page is None:
        report.add_row(Rule.PAGE, row)
        return
    if page["text_sha256"] != row["text_sha256"]:
        report.add_row(Rule.HASH, row)
    if not 0 <= row["start"] < row["end"] <= len(page["text"]):
        report.add_row(Rule.OFFSETS, row)
    elif page["text"][row["start"] : row["end"]] != row["text"]:
        report.add_row(Rule.TEXT, row)


_sort_key: Final[Callable[[Row], tuple[Any, ...]]] = itemgetter(*SUGGESTIONS_SORT)
