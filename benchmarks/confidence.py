"""Whether confidence ranks right suggestions above wrong ones, on the stand-in: the area under the ROC curve.

Run from the root of the repository with ``python -m benchmarks.confidence``. The stand-in knows which of its
answers it made wrong, and its log-probabilities say so, more or less; requests go over HTTP and replies
through the package's own reading, grounding and confidence. **This tests the way of the numbers, not a
model**: how much signal there is was chosen here.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import groupby

import httpx

from benchmarks.grounding.predicting import real_pages
from preannotation_assets.extraction.answer_format import RATED_QUOTES
from preannotation_assets.extraction.consistency import (
    MarkedSpan,
    adjusted_confidence,
    agreement,
    wants_second_pass,
)
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.labels import LabelScheme, parse_label_scheme
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.extraction.spans import Grounding, Quote, QuoteOutcome
from preannotation_assets.extraction.suggesting import ChunkAnswer, JudgedQuote, suggest
from preannotation_assets.model_servers.ollama.wire import chat_body, parse_reply
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatorSettings
from preannotation_assets.simulator.answer_text import answers_to

__all__ = ["OPTIONS", "area_under_curve", "main", "page_texts", "right_spans", "vessels"]

MODEL = "llama3.3:70b"
PAGES = 300
# More mistakes than a good model makes, so that there are enough of them to count.
HABITS = HabitRates(
    repair=0.3, omit=0.03, repeat=0.03, shorten=0.06, mislabel=0.06, invent=0.03, misjudge=0.2
)
THRESHOLDS = (0.5, 0.7, 0.9, 1.0)
WEIGHTS = (0.2, 0.4, 0.6, 0.8)
# A version of Ollama that knows no log-probabilities.
WITHOUT_SCORES = "0.12.10"
# What a request may read and write, in tokens.
OPTIONS = ModelOptions(context_tokens=16_384, answer_tokens=4_096)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggestion of a page, the parts of its confidence, and whether it is right."""

    page: int
    marked: MarkedSpan
    confidence: float | None
    probability: float | None
    similarity: float
    is_right: bool


def area_under_curve(scored: Sequence[tuple[float, bool]]) -> float | None:
    """The share of pairs of a right and a wrong one in which the right one scores higher; ties count half.

    None without at least one of each.
    """
    right = sum(is_right for _, is_right in scored)
    wrong = len(scored) - right
    if not right or not wrong:
        return None
    better, wrong_below = 0.0, 0
    for _, tied in groupby(sorted(scored), key=lambda pair: pair[0]):
        outcomes = [is_right for _, is_right in tied]
        hits = sum(outcomes)
        better += hits * (wrong_below + (len(outcomes) - hits) / 2)
        wrong_below += len(outcomes) - hits
    return better / (right * wrong)


def page_texts() -> list[str]:
    """Those beside the folder of the real pages, or else the demo's."""
    if real := real_pages():
        with gzip.open(real.parent / "throughput.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines][:PAGES]
    print("those of the demo are used")
    folder = resources.files("preannotation_assets.demo") / "pages"
    return [page.read_text("utf-8") for page in folder.iterdir() if page.name.endswith(".txt")]


def vessels() -> LabelScheme:
    """The package's own label scheme."""
    path = resources.files("preannotation_assets.label_schemes") / "vessels.yaml"
    return parse_label_scheme(path.read_text("utf-8"), "vessels.yaml")


def ask(settings: SimulatorSettings, prompt: Prompt, texts: Sequence[str]) -> list[ChatReply]:
    """One reply a page, asked as the pipeline asks."""
    template = RequestTemplate(model=MODEL, digest="", prompt=prompt, options=OPTIONS)
    with RunningSimulator(settings) as simulator, httpx.Client(base_url=simulator.url, timeout=60) as client:
        replies = [
            client.post("/api/chat", json=chat_body(template, text, "30m", stream=False)) for text in texts
        ]
    parsed = [parse_reply(reply.raise_for_status().json()) for reply in replies]
    return [reply for reply in parsed if reply is not None]


def suggestions(scheme: LabelScheme, texts: Sequence[str], replies: Sequence[ChatReply]) -> list[Suggestion]:
    """The suggestions of all pages."""
    return [
        suggestion
        for number, (text, reply) in enumerate(zip(texts, replies, strict=True))
        for suggestion in _of_page(scheme, number, text, reply)
    ]


def _of_page(scheme: LabelScheme, number: int, text: str, reply: ChatReply) -> Iterator[Suggestion]:
    right = right_spans(scheme, text)
    answer = ChunkAnswer(0, len(text), reply.content, reply.token_lengths, reply.token_logprobs, 0)
    for quote in suggest(text, [answer], scheme.label_names, overlaps_allowed=scheme.overlaps).quotes:
        if quote.outcome is QuoteOutcome.KEPT and quote.grounding is not None:
            yield _suggestion(number, quote, quote.grounding, right)


def _suggestion(
    number: int, quote: JudgedQuote, place: Grounding, right: set[tuple[str, int, int]]
) -> Suggestion:
    marked = MarkedSpan(quote.label, place.start, place.end)
    probability = quote.probability.mean if quote.probability else None
    is_right = (marked.label, marked.start, marked.end) in right
    return Suggestion(number, marked, quote.confidence, probability, place.similarity, is_right)


def right_spans(scheme: LabelScheme, text: str) -> set[tuple[str, int, int]]:
    """Where the stand-in's answers stand when it has no habits."""
    known = [each for each in answers_to(text, HabitRates.NONE, 0) if each.kind.value in scheme.label_names]
    places = ground(text, [Quote(each.kind.value, each.text) for each in known])
    return {
        (each.kind.value, place.start, place.end)
        for each, place in zip(known, places, strict=True)
        if isinstance(place, Grounding)
    }


def after_second_pass(
    first: Sequence[Suggestion], second: Sequence[Suggestion], threshold: float, weight: float
) -> tuple[list[Suggestion], int]:
    """The suggestions with adjusted confidences, and how many pages were looked at twice."""
    adjusted: list[Suggestion] = []
    looked = 0
    again = {page: list(found) for page, found in groupby(second, key=lambda each: each.page)}
    for page, found in groupby(first, key=lambda each: each.page):
        each_of_page = list(found)
        if not wants_second_pass([each.probability for each in each_of_page], threshold):
            adjusted.extend(each_of_page)
            continue
        looked += 1
        seen = [each.marked for each in again.get(page, [])]
        adjusted.extend(
            replace(
                each,
                confidence=adjusted_confidence(each.confidence, agreement(each.marked, seen), weight),
            )
            for each in each_of_page
        )
    return adjusted, looked


def _area(scored: Sequence[tuple[float | None, bool]]) -> str:
    known = [(score, is_right) for score, is_right in scored if score is not None]
    area = area_under_curve(known)
    return "-" if area is None else f"{area:.3f}"


def _confidence_area(found: Sequence[Suggestion]) -> str:
    return _area([(each.confidence, each.is_right) for each in found])


def main() -> None:
    """Prints the areas."""
    scheme, texts = vessels(), page_texts()
    settings = SimulatorSettings(habits=HABITS)
    prompt, rated_prompt = build_prompt(scheme), build_prompt(scheme, RATED_QUOTES)
    first, second, silent = (
        suggestions(scheme, texts, ask(each, prompt, texts))
        for each in (settings, replace(settings, seed=1), replace(settings, has_confidence_signal=False))
    )
    without_scores = replace(settings, version=WITHOUT_SCORES)
    rated = suggestions(scheme, texts, ask(without_scores, rated_prompt, texts))
    wrong = sum(not each.is_right for each in first)
    print(f"stand-in: {len(first)} suggestions on {len(texts)} pages, {wrong} of them wrong; area under ROC")
    print(f"{'confidence':54}{_confidence_area(first)}")
    print(f"{'probability of the tokens alone':54}{_area([(e.probability, e.is_right) for e in first])}")
    print(f"{'similarity of quote and page alone':54}{_area([(e.similarity, e.is_right) for e in first])}")
    print(f"{'confidence where the tokens carry no signal':54}{_confidence_area(silent)}")
    print(f"{'confidence from self-reported digits, no token scores':54}{_confidence_area(rated)}")
    print(f"\n{'after a second pass, by its weight':54}" + "".join(f"{weight:>8}" for weight in WEIGHTS))
    for threshold in THRESHOLDS:
        print_second_pass("own mistakes", first, second, threshold)
    mixed = [each for each in first if each.page % 2] + [each for each in second if not each.page % 2]
    print_second_pass(
        "same mistakes on half", first, sorted(mixed, key=lambda each: each.page), THRESHOLDS[0]
    )
    print_second_pass("same mistakes", first, first, THRESHOLDS[0])


def print_second_pass(
    name: str, first: Sequence[Suggestion], second: Sequence[Suggestion], threshold: float
) -> None:
    """Prints one line: the share of the pages that were looked at twice, and an area a weight."""
    looks = [after_second_pass(first, second, threshold, weight) for weight in WEIGHTS]
    share = looks[0][1] / len({each.page for each in first})
    areas = "".join(f"{_confidence_area(found):>8}" for found, _ in looks)
    print(f"{f'{name}, values below {threshold}: {share:.0%} of pages':54}{areas}")


if __name__ == "__main__":
    main()
