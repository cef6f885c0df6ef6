"""Prints the table of formats."""

import gzip
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

from benchmarks.answers.formats import FORMATS, MarkedQuote
from benchmarks.answers.tokens import MISSING, count_tokens, find_tokenizer
from benchmarks.grounding.predicting import predict, real_pages, scorer
from preannotation_assets.simulator.answer_text import answers_to
from preannotation_assets.simulator.settings import HabitRates

__all__ = ["main"]

Page = Mapping[str, Any]

# What a page holds once for each answer.
_PER_ANSWER = ("answers", "truth", "kinds", "tags", "groups")


def marked_quotes(page: Page) -> list[MarkedQuote]:
    """The answers of a page of the benchmark; one that is not on the page gets the page's first offsets."""
    spans = [truth or {"start": 0, "end": len(answer["text"])} for truth, answer in _answers(page)]
    return [
        MarkedQuote(answer["label"], answer["text"], span["start"], span["end"])
        for (_, answer), span in zip(_answers(page), spans, strict=True)
    ]


def _answers(page: Page) -> list[tuple[Any, Any]]:
    return list(zip(page["truth"], page["answers"], strict=True))


def vessel_quotes(text: str) -> list[MarkedQuote]:
    """What the stand-in says about a page, with offsets that are right in their length only."""
    answers = answers_to(text, HabitRates(), seed=0)
    return [MarkedQuote(answer.kind.value, answer.text, 1_000, 1_010) for answer in answers]


def by_label(page: Page) -> dict[str, Any]:
    """The page with its answers label by label, in order of first appearance."""
    labels = list(dict.fromkeys(answer["label"] for answer in page["answers"]))
    order = sorted(range(len(page["answers"])), key=lambda at: labels.index(page["answers"][at]["label"]))
    return {**page, **{name: [page[name][at] for at in order] for name in _PER_ANSWER}}


def tokens_a_suggestion(pages: Sequence[Sequence[MarkedQuote]]) -> list[float] | None:
    """One figure a format, then that of the bare quotes; None without the tokenizer."""
    tokenizer = find_tokenizer()
    if tokenizer is None:
        return None
    texts = [form.write(page) for form in FORMATS for page in pages]
    counts = count_tokens(tokenizer, [*texts, *(quote.text for page in pages for quote in page)])
    suggestions = sum(map(len, pages))
    ends = [*range(0, len(texts) + 1, len(pages)), len(counts)]
    return [sum(counts[start:end]) / suggestions for start, end in pairwise(ends)]


def exact_f1(scoring: ModuleType, pages: Sequence[Page]) -> float:
    """The exact F1 of this package's grounding."""
    score: float = scoring.summary(scoring.score(predict, pages))["overall"]["F1"]
    return score


def main() -> None:
    """Prints one line a format."""
    folder = real_pages()
    if folder is None:
        return
    scoring = scorer(folder)
    pages = scoring.load("dev")
    with gzip.open(folder.parent / "throughput.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    annotated, vessels = [marked_quotes(page) for page in pages], [vessel_quotes(text) for text in texts]
    tokens = tokens_a_suggestion(annotated), tokens_a_suggestion(vessels)
    if None in tokens:
        print(MISSING)
    f1 = {True: exact_f1(scoring, pages), False: exact_f1(scoring, [by_label(page) for page in pages])}
    print(
        f"tokens a suggestion: {sum(map(len, annotated))} answers on {len(pages)} annotated pages, "
        f"{sum(map(len, vessels))} of the stand-in on {len(texts)} pages"
    )
    print(f"{'':36}{'annotated':>11}{'stand-in':>10}{'exact F1':>10}{'held by a schema':>18}")
    for number, form in enumerate(FORMATS):
        held = "yes" if form.has_schema else "no"
        print(f"{form.name:36}{_columns(tokens, number)}{f1[form.keeps_order]:10.4f}{held:>18}")
    print(f"{'the bare quotes alone':36}{_columns(tokens, len(FORMATS))}")


def _columns(tokens: Sequence[list[float] | None], number: int) -> str:
    widths = (11, 10)
    return "".join(
        f"{figures[number]:{width}.2f}" if figures else f"{'-':>{width}}"
        for figures, width in zip(tokens, widths, strict=True)
    )
