"""The ways in which a page's suggestions could be written, each as a function from spans to text."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from preannotation_assets.extraction.answers import write_answer

__all__ = ["FORMATS", "AnswerFormat", "MarkedQuote"]


@dataclass(frozen=True, slots=True)
class MarkedQuote:
    """A suggestion: its label, its quote, and its offsets (any, where the quote is not on the page)."""

    label: str
    text: str
    start: int
    end: int


Marked = Sequence[MarkedQuote]


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A format; it does not keep reading order where quotes stand by label; not all fit a schema."""

    name: str
    write: Callable[[Marked], str]
    keeps_order: bool = True
    has_schema: bool = True


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _spaced(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _offsets(marked: Marked) -> list[dict[str, object]]:
    return [
        {"label": each.label, "start": each.start, "end": each.end, "text": each.text, "confidence": 0.95}
        for each in marked
    ]


def _langextract(marked: Marked) -> str:
    """LangExtract 1.7: a list of extractions, each with a map of attributes beside it."""
    return _spaced({"extractions": [{m.label: m.text, f"{m.label}_attributes": {}} for m in marked]})


def _label_and_text(marked: Marked) -> list[dict[str, str]]:
    return [{"label": each.label, "text": each.text} for each in marked]


def _one_key(marked: Marked) -> list[dict[str, str]]:
    return [{each.label: each.text} for each in marked]


def _runs(marked: Marked) -> list[tuple[str, list[str]]]:
    return [
        (label, [each.text for each in run]) for label, run in groupby(marked, key=lambda each: each.label)
    ]


def _self_reported(marked: Marked) -> str:
    """Ours with the model's own word on each quote, a digit from 0 to 9 behind it."""
    return _compact(
        {"spans": [{label: [part for text in texts for part in (text, 8)]} for label, texts in _runs(marked)]}
    )


def _by_label(marked: Marked) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for each in marked:
        grouped.setdefault(each.label, []).append(each.text)
    return grouped


def _aliases(marked: Marked) -> Mapping[str, str]:
    """A short name for each label: the capitals of its words, and a number where two are the same."""
    aliases: dict[str, str] = {}
    for label in dict.fromkeys(each.label for each in marked):
        short = "".join(word[0] for word in label.split("_")).upper()
        taken = sum(alias.rstrip("0123456789") == short for alias in aliases.values())
        aliases[label] = f"{short}{taken or ''}"
    return aliases


def _aliased(marked: Marked) -> str:
    aliases = _aliases(marked)
    return write_answer([(aliases[each.label], each.text) for each in marked])


FORMATS: Final = (
    AnswerFormat("offsets, as in the contract", lambda marked: _spaced({"spans": _offsets(marked)})),
    AnswerFormat("offsets, no blanks", lambda marked: _compact({"spans": _offsets(marked)})),
    AnswerFormat("LangExtract", _langextract),
    AnswerFormat("label and text", lambda marked: _spaced({"spans": _label_and_text(marked)})),
    AnswerFormat("label and text, no blanks", lambda marked: _compact({"spans": _label_and_text(marked)})),
    AnswerFormat("one-key objects", lambda marked: _spaced({"spans": _one_key(marked)})),
    AnswerFormat("one-key objects, no blanks", lambda marked: _compact({"spans": _one_key(marked)})),
    AnswerFormat("the same without a root object", lambda marked: _compact(_one_key(marked))),
    AnswerFormat(
        "one-key objects, always lists",
        lambda marked: _compact({"spans": [{a: b} for a, b in _runs(marked)]}),
    ),
    AnswerFormat(
        "ours: neighbours share a list",
        lambda marked: write_answer([(each.label, each.text) for each in marked]),
    ),
    AnswerFormat("ours with labels of 1 to 3 letters", _aliased),
    AnswerFormat("ours and a digit of its own a quote", _self_reported, has_schema=False),
    AnswerFormat(
        "one-key objects, quote and digit",
        lambda marked: _compact({"spans": [{each.label: [each.text, 8]} for each in marked]}),
    ),
    AnswerFormat(
        "label, quote, label, quote",
        lambda marked: _compact([part for each in marked for part in (each.label, each.text)]),
        has_schema=False,
    ),
    AnswerFormat(
        "label, quote, quote, label, quote",
        lambda marked: _compact([part for label, texts in _runs(marked) for part in (label, *texts)]),
        has_schema=False,
    ),
    AnswerFormat(
        '"label quote" in one string',
        lambda marked: _compact([f"{each.label} {each.text}" for each in marked]),
        has_schema=False,
    ),
    AnswerFormat("quotes by label", lambda marked: _compact(_by_label(marked)), keeps_order=False),
)
