"""Whether a cascade saves 60 % of the large model's time at half a point of F1, on two stand-ins.

Run from the root of the repository with ``python -m benchmarks.cascade``. Two models answer 300 pages over
HTTP, and the package's own reading, grounding and decision do the rest; seconds are counted tokens at fixed
rates. What a model gets wrong, where, and how far its probabilities tell is docs/simulator.md's: **this tests
the decision and the curve, and no model**.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

import httpx

from benchmarks.confidence import OPTIONS, area_under_curve, page_texts, right_spans, vessels
from preannotation_assets.evaluation.cascade_curve import (
    CascadePage,
    PageChoice,
    choose_threshold,
)
from preannotation_assets.extraction.cascade import CascadeRule, Doubt, SmallAnswer
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.suggesting import ChunkAnswer, PageSuggestions, suggest
from preannotation_assets.model_servers.ollama.wire import chat_body, parse_reply
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import (
    Ability,
    HabitRates,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)

__all__ = ["main"]

# Both are as good on easy pages, as far as chance lets them.
EASY: Final = HabitRates(repair=0.3, omit=0.01, repeat=0.01, shorten=0.005, mislabel=0.005, invent=0.005)
LARGE_HARD: Final = HabitRates(repair=0.3, omit=0.03, repeat=0.02, shorten=0.02, mislabel=0.02, invent=0.01)
SMALL_HARD: Final = HabitRates(repair=0.3, omit=0.15, repeat=0.03, shorten=0.1, mislabel=0.12, invent=0.02)
# A small model that is worse everywhere: on easy pages as the large one is on hard ones.
WORSE_EASY: Final = LARGE_HARD
# Name, the small model's easy pages, and how many pages are hard.
SMALL_MODELS: Final = (
    ("as good on easy pages", EASY, 0.25),
    ("the same, fewer are hard", EASY, 0.1),
    ("worse everywhere", WORSE_EASY, 0.25),
)
QUALITIES: Final = (0.6, 0.75, 0.9, 0.97)
# Read and written: a tenth of the time for the small one.
TOKENS_A_SECOND: Final = {"large": (1_000.0, 25.0), "small": (10_000.0, 250.0)}
MOST_LOST: Final = 0.005
LEAST_SAVED: Final = 0.6
BELIEVED: Final = CascadeRule(0.0, frozenset((Doubt.EMPTY,)))


DRAWS: Final = 2

Answers = Sequence[tuple[PageSuggestions, float]]
"""What is suggested on each page, and the seconds of its request."""
Spans = set[tuple[str, int, int]]


def main() -> None:
    """Prints a row for each small model and quality: means over draws, figures of held-out documents."""
    scheme, texts = vessels(), page_texts()
    gold = [right_spans(scheme, text) for text in texts]
    print(f"{len(texts)} pages, {sum(map(len, gold))} spans, {DRAWS} draws")
    print(_HEAD)
    for name, easy, hard in SMALL_MODELS:
        larges = _draws("large", Ability(EASY, LARGE_HARD, hard, 200, 0.9), scheme, texts)
        for quality in QUALITIES:
            smalls = _draws("small", Ability(easy, SMALL_HARD, hard, 100, quality), scheme, texts)
            draws = list(zip(smalls, larges, strict=True))
            for told, rule in (("asked", CascadeRule(0.0)), ("believed", BELIEVED)):
                cells = _cells(
                    [(small, large, _pages(small, large, gold, rule)) for small, large in draws], gold
                )
                print(f"| {name} | {quality:g} | {told} | {' | '.join(cells)} |", flush=True)


def _draws(name: str, ability: Ability, scheme: LabelScheme, texts: Sequence[str]) -> list[Answers]:
    """The same model with other mistakes each time."""
    return [
        _answers(name, replace(ability, seed=ability.seed + draw), scheme, texts) for draw in range(DRAWS)
    ]


_COLUMNS: Final = (
    "small model", "information", "empty answers", "AUC", "F1 small", "F1 large", "always asked", "reached",
    "saved", "F1 lost",
)  # fmt: skip
_HEAD: Final = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


def _cells(
    draws: Sequence[tuple[Answers, Answers, list[CascadePage]]], gold: Sequence[Spans]
) -> Iterator[str]:
    choices = [choose_threshold(pages, 0, 1.0, MOST_LOST).held_out for _, _, pages in draws]
    told = [(point.saved.value or 0.0, point.lost.value or 0.0) if point else (0.0, 0.0) for point in choices]
    always = [sum(_is_always_asked(page) for page in pages) / len(pages) for _, _, pages in draws]
    reached = sum(saved >= LEAST_SAVED and lost <= MOST_LOST for saved, lost in told)
    yield f"{fmean(_area(small, gold) for small, _, _ in draws):.2f}"
    yield f"{fmean(_f1(small, gold) for small, _, _ in draws):.3f}"
    yield f"{fmean(_f1(large, gold) for _, large, _ in draws):.3f}"
    yield f"{fmean(always):.0%}"
    yield f"{reached} of {len(draws)}"
    yield f"{fmean(saved for saved, _ in told):.0%}"
    yield f"{fmean(lost for _, lost in told):.4f}"


def _answers(name: str, ability: Ability, scheme: LabelScheme, texts: Sequence[str]) -> Answers:
    """What a model suggests on every page, asked as the pipeline asks."""
    template = RequestTemplate(model=name, digest="", prompt=build_prompt(scheme), options=OPTIONS)
    reads, writes = TOKENS_A_SECOND[name]
    settings = SimulatorSettings(models=(SimulatedModel(name, ability=ability),))
    found = []
    with RunningSimulator(settings) as simulator, httpx.Client(base_url=simulator.url, timeout=60) as client:
        for text in texts:
            body = chat_body(template, text, "30m", stream=False)
            reply = parse_reply(client.post("/api/chat", json=body).raise_for_status().json())
            assert reply is not None
            answer = ChunkAnswer(0, len(text), reply.content, reply.token_lengths, reply.token_logprobs, 0)
            # The constant part of the prompt is read once.
            read = max(0, (reply.prompt_tokens or 0) - template.prompt.constant_tokens)
            seconds = read / reads + (reply.answer_tokens or 0) / writes
            found.append((_suggested(scheme, text, answer), seconds))
    return found


def _suggested(scheme: LabelScheme, text: str, answer: ChunkAnswer) -> PageSuggestions:
    labels, rules = scheme.label_names, scheme.value_rules
    return suggest(text, [answer], labels, overlaps_allowed=scheme.overlaps, rules=rules)


def _pages(small: Answers, large: Answers, gold: Sequence[Spans], rule: CascadeRule) -> list[CascadePage]:
    pages = []
    for number, ((first, took), (second, takes), right) in enumerate(zip(small, large, gold, strict=True)):
        answer, alone = SmallAnswer.of(first, None), _choice(second, right, takes)
        doubt = rule.doubt(answer)
        choices = [alone if doubt else _choice(first, right, 0.0)]
        if doubt is None and answer.lowest is not None:
            choices.append(replace(alone, above=answer.lowest))
        pages.append(CascadePage(str(number), len(right), took, alone, tuple(choices)))
    return pages


def _choice(found: PageSuggestions, right: Spans, seconds: float) -> PageChoice:
    return PageChoice(-1.0, len(_places(found) & right), len(found.spans), seconds)


def _is_always_asked(page: CascadePage) -> bool:
    return page.choices[0].large_seconds > 0


def _places(found: PageSuggestions) -> Spans:
    return {(span.label, span.start, span.end) for span in found.spans}


def _f1(answers: Answers, gold: Sequence[Spans]) -> float:
    right = sum(len(_places(found) & spans) for (found, _), spans in zip(answers, gold, strict=True))
    return 2 * right / (sum(len(found.spans) for found, _ in answers) + sum(map(len, gold)))


def _area(answers: Answers, gold: Sequence[Spans]) -> float:
    """How far the confidences of what is suggested tell right from wrong."""
    scored = [
        (span.confidence or 0.0, (span.label, span.start, span.end) in spans)
        for (found, _), spans in zip(answers, gold, strict=True)
        for span in found.spans
    ]
    return area_under_curve(scored) or 0.0


if __name__ == "__main__":
    main()
