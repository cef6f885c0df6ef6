"""What experts answered about pages, which answers count, and what follows from several about one page."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from preannotation_assets.errors import SettingsError
from preannotation_assets.evaluation.pages import PageKey, place_of
from preannotation_assets.extraction.segments import Mark

__all__ = [
    "GoldRule",
    "PageText",
    "Response",
    "ResponseStatus",
    "ResponseUse",
    "SelectedResponses",
    "latest",
    "majority",
    "of_annotator",
    "parse_gold_rule",
    "select_responses",
]

_ANNOTATOR: Final = "annotator:"
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


class ResponseStatus(StrEnum):
    """How far an expert got with a page, in Argilla's words."""

    SUBMITTED = "submitted"
    DRAFT = "draft"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Response:
    """An expert's answer about a page in the version that ``text_sha256`` names.

    ``status`` is a ``ResponseStatus``, or a word that is none. ``submitted_at`` is UTC, None where unknown.
    A page that was reviewed and has no span has no spans here.
    """

    doc_id: str
    page_num: int
    text_sha256: str
    annotator: str
    status: str
    submitted_at: datetime | None
    spans: tuple[Mark, ...]

    @property
    def page(self) -> PageKey:
        """The page it is about."""
        return self.doc_id, self.page_num


@dataclass(frozen=True, slots=True)
class PageText:
    """The version of a page that was published: its hash, and its length in code points.

    ``is_learned_from`` says that few-shot examples came from its document: the model has seen the answer.
    """

    text_sha256: str
    length: int
    is_learned_from: bool = False


class ResponseUse(StrEnum):
    """Whether a response counts, or why it does not."""

    USED = "used"
    # Of another version of the page than was published.
    OTHER_TEXT = "other_text"
    # Of a page that is not part of what was published.
    NOT_PUBLISHED = "not_published"
    DRAFT = "draft"
    DISCARDED = "discarded"
    OTHER_STATUS = "other_status"
    # The same expert answered later about the same page.
    SUPERSEDED = "superseded"
    # A span of it is empty, has no label, or is not on the page.
    IMPOSSIBLE_SPAN = "impossible_span"
    # Few-shot examples came from its document.
    LEARNED_FROM = "learned_from"


@dataclass(frozen=True, slots=True)
class SelectedResponses:
    """The responses that count by page, at most one an expert, and how many were used for what.

    ``uses`` is by the values of ``ResponseUse``; it leaves out what did not occur.
    """

    by_page: Mapping[PageKey, tuple[Response, ...]]
    uses: Mapping[str, int]


def select_responses(
    responses: Iterable[Response], published: Mapping[PageKey, PageText]
) -> SelectedResponses:
    """The submitted responses about the published versions of pages, the latest of each expert."""
    uses: Counter[str] = Counter()
    chosen: dict[tuple[PageKey, str], Response] = {}
    for response in responses:
        use = _use_of(response, published.get(response.page))
        if use is not ResponseUse.USED:
            uses[use] += 1
            continue
        key = response.page, response.annotator
        other = chosen.get(key)
        if other is not None:
            uses[ResponseUse.SUPERSEDED] += 1
        chosen[key] = response if other is None else max(other, response, key=_order)
    by_page: dict[PageKey, list[Response]] = {}
    for (page, _), response in sorted(chosen.items(), key=lambda item: item[0]):
        by_page.setdefault(page, []).append(response)
    if chosen:
        uses[ResponseUse.USED] = len(chosen)
    return SelectedResponses({page: tuple(found) for page, found in by_page.items()}, dict(uses))


def _use_of(response: Response, page: PageText | None) -> ResponseUse:
    if response.status != ResponseStatus.SUBMITTED:
        return _UNFINISHED.get(response.status, ResponseUse.OTHER_STATUS)
    if page is None:
        return ResponseUse.NOT_PUBLISHED
    if response.text_sha256 != page.text_sha256:
        return ResponseUse.OTHER_TEXT
    if not all(_is_possible(span, page) for span in response.spans):
        return ResponseUse.IMPOSSIBLE_SPAN
    return ResponseUse.LEARNED_FROM if page.is_learned_from else ResponseUse.USED


def _is_possible(span: Mark, page: PageText) -> bool:
    return 0 <= span.start < span.end <= page.length and span.label != ""


_UNFINISHED: Final[Mapping[str, ResponseUse]] = {
    ResponseStatus.DRAFT: ResponseUse.DRAFT,
    ResponseStatus.DISCARDED: ResponseUse.DISCARDED,
}


def _order(response: Response) -> tuple[datetime, str, list[tuple[int, int, str]]]:
    """Later is greater; what is of the same moment is ordered by what it says, wherever it was read first."""
    spans = sorted(map(place_of, response.spans))
    return response.submitted_at or _BEFORE_ALL, response.annotator, spans


GoldRule = Callable[[Sequence[Response]], tuple[Mark, ...] | None]
"""The spans that count as right on a page, of its responses (at least one); None where there are none."""


def latest(responses: Sequence[Response]) -> tuple[Mark, ...] | None:
    """What the expert marked who answered last: experts correct each other."""
    return _sorted(max(responses, key=_order).spans)


def majority(responses: Sequence[Response]) -> tuple[Mark, ...] | None:
    """What more than half of the page's experts marked alike: same borders, same label."""
    votes = Counter(place for response in responses for place in set(map(place_of, response.spans)))
    return tuple(Mark(*place) for place, count in sorted(votes.items()) if 2 * count > len(responses))


def of_annotator(name: str) -> GoldRule:
    """What one expert marked; None of pages that this expert did not review."""

    def rule(responses: Sequence[Response]) -> tuple[Mark, ...] | None:
        own = [response for response in responses if response.annotator == name]
        return _sorted(own[0].spans) if own else None

    return rule


def _sorted(spans: Iterable[Mark]) -> tuple[Mark, ...]:
    """In the order of the page, each once."""
    return tuple(Mark(*place) for place in sorted(set(map(place_of, spans))))


def parse_gold_rule(text: str) -> GoldRule:
    """The rule that a setting names: latest, majority, or annotator:NAME.

    Raises:
        SettingsError: it names none.
    """
    if text.startswith(_ANNOTATOR) and text != _ANNOTATOR:
        return of_annotator(text.removeprefix(_ANNOTATOR))
    match text:
        case "latest":
            return latest
        case "majority":
            return majority
        case _:
            raise SettingsError("the rule for the gold is none", "write latest, majority or annotator:NAME")
