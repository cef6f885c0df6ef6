"""What grounding gives away for what: true answers found against answers that were made up and found.

Among the true answers of the real pages stand made-up ones: names of other pages in the same language of
which no letter sequence is on the page. The similarity that a place must have is then raised step by step.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks.grounding.predicting import real_pages, scorer
from benchmarks.grounding.spellings import Spellings
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.grounding.page import Page
from preannotation_assets.extraction.grounding.quotes import prepare
from preannotation_assets.extraction.spans import Grounding, Quote

__all__ = ["Judged", "print_curve", "print_trade_off"]

MADE_UP = 6
SEEDS = range(1, 11)
FEWEST_LETTERS = 3
LEAST_SIMILARITIES = (0.0, 0.75, 0.8, 0.85, 0.875, 0.9, 0.925, 0.95, 0.975, 1.0)


class Judged(NamedTuple):
    """What became of one answer: made up or not, at the right place or not, how similar; 0.0 if not found.

    ``is_one_name`` says that what was found for a made-up answer is likely the same name in another spelling.
    """

    made_up: bool
    right: bool
    similarity: float
    is_one_name: bool = False


def made_up(pages: Sequence[Mapping[str, Any]], draw: random.Random) -> Iterator[list[str]]:
    """For every page the names of other pages that are not on it."""
    names: dict[str, list[str]] = defaultdict(list)
    for page in pages:
        names[page["lang"]] += [page["text"][t["start"] : t["end"]] for t in page["truth"] if t]
    for page in pages:
        letters = Page(page["text"]).letters
        chosen: list[str] = []
        for written in draw.sample(names[page["lang"]], 40):
            quote = " ".join(written.split())
            folded = prepare(quote).letters
            if len(folded) >= FEWEST_LETTERS and folded not in letters and len(chosen) < MADE_UP:
                chosen.append(quote)
        yield chosen


def judged(
    score: ModuleType, pages: Sequence[Mapping[str, Any]], spellings: Spellings, seed: int
) -> Iterator[Judged]:
    """Every answer of every page, with the made-up ones put anywhere among them."""
    draw = random.Random(seed)
    for page, names in zip(pages, made_up(pages, draw), strict=True):
        answers: list[tuple[Quote, int | None]] = [
            (Quote(answer["label"], answer["text"]), index) for index, answer in enumerate(page["answers"])
        ]
        labels = [quote.label for quote, _ in answers] or ["NAME"]
        for name in names:
            answers.insert(draw.randint(0, len(answers)), (Quote(draw.choice(labels), name), None))
        results = ground(page["text"], [quote for quote, _ in answers])
        spans: list[tuple[int, int] | None] = [None] * len(page["answers"])
        similarity = [0.0] * len(spans)
        for (quote, index), result in zip(answers, results, strict=True):
            found = result if isinstance(result, Grounding) else None
            if index is None and found:
                written = page["text"][found.start : found.end]
                is_one_name = spellings.are_one_name(page["lang"], quote.text, written)
                yield Judged(True, False, found.similarity, is_one_name)
            elif index is None:
                yield Judged(True, False, 0.0)
            elif found:
                spans[index], similarity[index] = (found.start, found.end), found.similarity
        outcomes = score.score_page(page, spans)
        for truth, outcome, value in zip(page["truth"], outcomes, similarity, strict=True):
            if truth and not truth.get("optional"):
                yield Judged(False, outcome in ("tp", "tpfp"), value)


def print_curve(answers: Sequence[Judged]) -> None:
    """Prints for every least similarity which part of the true answers is found, and of those made up."""
    false = [each for each in answers if each.made_up]
    true = [each for each in answers if not each.made_up]
    print(f"\n{len(true)} true answers, {len(false)} made up")
    print(f"least similarity{'true found':>12}{'made up found':>15}{'another name':>14}")
    for least in LEAST_SIMILARITIES:
        found = sum(each.right and each.similarity >= least for each in true) / len(true)
        wrong = [each for each in false if each.similarity >= max(least, 1e-9)]
        others = sum(not each.is_one_name for each in wrong)
        print(f"{least:16.3f}{found:12.4f}{len(wrong) / len(false):15.4f}{others / len(false):14.4f}")


def print_trade_off() -> None:
    """Prints one line a least similarity."""
    if folder := real_pages():
        score = scorer(folder)
        pages = score.load("dev")
        spellings = Spellings(pages)
        print_curve([each for seed in SEEDS for each in judged(score, pages, spellings, seed)])
