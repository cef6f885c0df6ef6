"""Grounding beside its peers: exact-span F1, false grounding and milliseconds of CPU a page, in one run.

Run from the root of the repository with ``python -m benchmarks.grounding``. The pages, their true spans
and the scorer are those of ``GROUNDING_PAGES``; without it, and without a peer (LangExtract, spacy-llm,
rapidfuzz), that part is left out with a line that says so.
"""

import importlib
import importlib.util
import random
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.grounding.planted import SYLLABLES
from benchmarks.grounding.predicting import Answers, Predictor, Spans, predict, real_pages, scorer

__all__ = ["print_peers"]

# A run is repeated this often, for the least disturbed time, unless it takes longer than the patience.
RUNS = 3
PATIENCE_SECONDS = 20.0

# rapidfuzz has no threshold of its own: the one with the best F1 on these pages.
RAPIDFUZZ_CUTOFF = 85.0

LONG_PAGE_CHARACTERS = 30_000
LONG_PAGE_ANSWERS = 200


def langextract_predictor(accept_match_lesser: bool) -> Predictor:
    """LangExtract's aligner, with or without matches of the first words only (its default is with)."""
    resolver = importlib.import_module("langextract.resolver")
    data = importlib.import_module("langextract.core.data")

    def align(page_text: str, answers: Answers) -> Spans:
        """All answers of the page at once."""
        asked = [
            data.Extraction(extraction_class=answer["label"], extraction_text=answer["text"])
            for answer in answers
        ]
        try:
            (aligned,) = resolver.WordAligner().align_extractions(
                [asked], page_text, accept_match_lesser=accept_match_lesser
            )
        except ValueError:  # an empty quote loses it the whole page
            return [None] * len(answers)
        intervals = [extraction.char_interval for extraction in aligned]
        return [(found.start_pos, found.end_pos) if found else None for found in intervals]

    return align


def spacy_llm_predictor() -> Predictor:
    """spacy-llm's search for the phrases of an answer: every occurrence, in turn to equal answers."""
    find_substrings = importlib.import_module("spacy_llm.tasks.util.parsing").find_substrings

    def find(page_text: str, answers: Answers) -> Spans:
        """The next occurrence of each answer that no equal one has taken."""
        places: dict[tuple[str, str], list[tuple[int, int]]] = {}
        taken: defaultdict[tuple[str, str], int] = defaultdict(int)
        found: Spans = []
        for answer in answers:
            key = answer["label"], answer["text"].lower()
            if key not in places:
                places[key] = find_substrings(page_text, [answer["text"]])
            found.append(places[key][taken[key]] if taken[key] < len(places[key]) else None)
            taken[key] += 1
        return found

    return find


def rapidfuzz_predictor() -> Predictor:
    """The best partial match of every answer by itself."""
    fuzz = importlib.import_module("rapidfuzz.fuzz")

    def match(page_text: str, answers: Answers) -> Spans:
        """For each answer the place that is most alike, if it is alike enough."""
        found: Spans = []
        for answer in answers:
            best = fuzz.partial_ratio_alignment(answer["text"], page_text, score_cutoff=RAPIDFUZZ_CUTOFF)
            found.append(
                (best.dest_start, best.dest_end) if best and best.dest_start < best.dest_end else None
            )
        return found

    return match


def predictors() -> dict[str, Predictor]:
    """Ours, and those of the peers that are installed."""
    found: dict[str, Predictor] = {"this package": predict}
    if _is_installed("langextract"):
        found["LangExtract"] = langextract_predictor(accept_match_lesser=True)
        found["LangExtract, whole matches only"] = langextract_predictor(accept_match_lesser=False)
    if _is_installed("spacy_llm"):
        found["spacy-llm"] = spacy_llm_predictor()
    if _is_installed("rapidfuzz"):
        found["rapidfuzz partial ratio"] = rapidfuzz_predictor()
    return found


def _is_installed(package: str) -> bool:
    if importlib.util.find_spec(package) is not None:
        return True
    print(f"{package} is not installed: left out")
    return False


def print_quality(folder: Path, split: str, competitors: Mapping[str, Predictor]) -> None:
    """Prints one line a competitor: the figures of the scorer, and the least mean CPU time of a few runs."""
    score = scorer(folder)
    pages = score.load(split)
    print(f"{'':32}{'exact F1':>10}{'false grounding':>17}{'ms a page':>11}")
    for name, predictor in competitors.items():
        overall = score.summary(score.score(predictor, pages))["overall"]
        times = [_seconds(predictor, pages)]
        while len(times) < RUNS and sum(times) < PATIENCE_SECONDS:
            times.append(_seconds(predictor, pages))
        milliseconds = min(times) / len(pages) * 1_000
        print(f"{name:32}{overall['F1']:10.4f}{overall['false_ground']:17.4f}{milliseconds:11.2f}")


def _seconds(predictor: Predictor, pages: Sequence[Mapping[str, Any]]) -> float:
    began = time.process_time()
    for page in pages:
        predictor(page["text"], page["answers"])
    return time.process_time() - began


def long_page(seed: int = 0) -> tuple[str, list[dict[str, str]]]:
    """A page of invented ships, and answers of which half repeat and a tenth have OCR damage."""
    draw = random.Random(seed)
    names = ["".join(draw.choices(SYLLABLES, k=3)).capitalize() for _ in range(LONG_PAGE_ANSWERS // 2)]
    text = ""
    answers: list[dict[str, str]] = []
    space = LONG_PAGE_CHARACTERS // LONG_PAGE_ANSWERS
    for index in range(LONG_PAGE_ANSWERS):
        name = names[index % len(names)]
        written = name.replace("r", "i", 1) if index % 10 == 0 else name
        text += f"{written} "
        while len(text) < (index + 1) * space:
            text += "".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) + " "
        answers.append({"label": "SHIP", "text": name})
    return text[:LONG_PAGE_CHARACTERS], answers


def print_speed(competitors: Mapping[str, Predictor]) -> None:
    """Prints the time for one long page, with the answers in reading order and shuffled."""
    text, answers = long_page()
    shuffled = list(answers)
    random.Random(1).shuffle(shuffled)
    print(f"\n{LONG_PAGE_CHARACTERS} characters, {LONG_PAGE_ANSWERS} answers{'in order':>12}{'shuffled':>12}")
    for name, predictor in competitors.items():
        times = [_least_milliseconds(predictor, text, order) for order in (answers, shuffled)]
        print(f"{name:32}" + "".join(f"{milliseconds:9.1f} ms" for milliseconds in times))


def _least_milliseconds(predictor: Predictor, text: str, answers: Answers) -> float:
    times: list[float] = []
    for _ in range(RUNS):
        began = time.process_time()
        predictor(text, answers)
        times.append((time.process_time() - began) * 1_000)
    return min(times)


def print_peers() -> None:
    """Prints both tables."""
    competitors = predictors()
    if folder := real_pages():
        print_quality(folder, sys.argv[1] if len(sys.argv) > 1 else "dev", competitors)
    print_speed(competitors)
