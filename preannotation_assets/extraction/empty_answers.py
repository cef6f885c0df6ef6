"""Whether a model that marks nothing on nearly every page is to be doubted. Pure.

"Nothing to mark" is an answer like any other, so a model that gives it to every page looks like one that
works. Nobody can tell it from a batch in which there is nothing, so what is said here is a warning and never
a failure. With 20 pages, and a model that is right, it comes by chance in 1 of 5,000 batches where every
second page holds nothing, in 4 of 100 where 7 pages of 10 do, and in 21 of 100 where 8 of 10 do (binomial).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from preannotation_assets.extraction.suggesting import PageSuggestions

__all__ = [
    "FEWEST_ANSWERS",
    "FEWEST_TRIED",
    "PageAnswer",
    "answered_pages",
    "answers_doubt",
    "are_nearly_all",
    "page_doubts",
]

FEWEST_ANSWERS: Final = 20
"""How many answers or pages of a run there must be before anything is said of them."""
FEWEST_TRIED: Final = 3
"""The same for ``preannotate try``, where a person sees the pages as well."""
_NEARLY_ALL: Final = 0.9


class PageAnswer(StrEnum):
    """What the answers about a page came to.

    ``EMPTY`` is a page of which the model named nothing, ``REJECTED`` one of which it named something and
    no quote became a suggestion, ``NOT_ASKED`` one without text.
    """

    MARKED = "marked"
    REJECTED = "all_rejected"
    EMPTY = "empty"
    NOT_ASKED = "not_asked"

    @classmethod
    def of(cls, found: PageSuggestions, *, was_asked: bool) -> "PageAnswer":
        """What a page's answers came to, none of which failed."""
        if not was_asked:
            return cls.NOT_ASKED
        if found.spans:
            return cls.MARKED
        return cls.REJECTED if found.quotes else cls.EMPTY


def are_nearly_all(count: int, total: int, fewest: int = FEWEST_ANSWERS) -> bool:
    """Whether ``count`` is nine tenths of ``total`` or more, and the total is large enough to say so."""
    return total >= fewest and count >= _NEARLY_ALL * total


def answers_doubt(empty: int, answered: int) -> str | None:
    """A warning where nearly all answers are empty; None where they are not."""
    return _empty_words(empty, answered, "answers") if are_nearly_all(empty, answered) else None


def answered_pages(pages: Mapping[str, int]) -> int:
    """How many of the pages, counted by ``PageAnswer``, the model was asked about."""
    return sum(pages.values()) - pages.get(PageAnswer.NOT_ASKED, 0)


def page_doubts(pages: Mapping[str, int], fewest: int = FEWEST_ANSWERS) -> list[str]:
    """Warnings about pages, counted by ``PageAnswer``; those without text say nothing about the model."""
    empty, rejected = pages.get(PageAnswer.EMPTY, 0), pages.get(PageAnswer.REJECTED, 0)
    answered = answered_pages(pages)
    doubts = []
    if are_nearly_all(empty, answered, fewest):
        doubts.append(_empty_words(empty, answered, "pages"))
    if are_nearly_all(rejected, answered, fewest):
        doubts.append(
            f"of {rejected} of {answered} pages the model named something, and no quote is on its page or"
            " passes the rules: preannotate try shows each with its reason"
        )
    return doubts


def _empty_words(empty: int, answered: int, noun: str) -> str:
    return (
        f"{empty} of {answered} {noun} came back empty, the model named nothing: unless there is nothing to"
        " mark, see what preannotate labels check says about the examples, and preannotate try with pages"
        " that have something"
    )
