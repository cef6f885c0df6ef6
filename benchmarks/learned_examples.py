"""Whether examples that were learned from reviewed pages help a model: F1 with them and with others.

    python -m benchmarks.learned_examples http://127.0.0.1:8080 MODEL PAGES LABELS [--pages 30] [--excerpt 40]

PAGES are JSON lines, gzipped or not: ``page_id``, ``text``, and ``gold``, a list of ``start``, ``end`` and
``label``; LABELS is a label scheme for them. The pages are cut into short ones of at most 120 estimated
tokens; those with a span are kept. The model, at a server that speaks OpenAI's chat completions, is asked
about the pages to learn from with the scheme as it is; what it did wrong there, and its quotes, are what
examples are chosen by, as ``preannotate labels learn`` does. Then it is asked about the held-out pages: with
the scheme's own examples, with those learned, with as many excerpts drawn by lot, and with none.
"""

import argparse
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.chat import ask_about_page
from preannotation_assets.evaluation.actions import ActionCosts
from preannotation_assets.evaluation.examples import CandidateRules, candidates_of, select_examples
from preannotation_assets.evaluation.examples.candidates import Candidate
from preannotation_assets.evaluation.held_out import digest_of, is_held_out
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.pages import GivenQuote, ReviewedPage, SuggestedSpan
from preannotation_assets.evaluation.scores import score_pages
from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.labels import Example, LabelScheme
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import Grounding, Quote, QuoteOutcome
from preannotation_assets.label_file import load_label_scheme

__all__ = ["main"]

_PAGE_TOKENS: Final = 120
_SETS: Final = ("own", "learned", "lot", "none")
_ANSWER_TOKENS: Final = 120
_SAMPLES: Final = 1000

Ask = Callable[[Prompt, str], str]


def main() -> None:
    """Prints a row for each set of examples."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.learned_examples", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("url", help="the server, without /v1")
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--pages", type=int, default=30, help="held-out pages (30)")
    parser.add_argument("--learn-from", type=int, default=30, help="pages to learn from (30)")
    parser.add_argument("--tokens", type=int, default=800, help="of what is learned, at most (800)")
    parser.add_argument("--excerpt", type=int, default=_PAGE_TOKENS, help="tokens of a text, at most (120)")
    parser.add_argument("--sets", default=",".join(_SETS), help="of examples: any of own,learned,lot,none")
    parser.add_argument("--only", default="", help="pages whose id begins with this")
    arguments = parser.parse_args()
    scheme = load_label_scheme(str(arguments.labels))

    def ask(prompt: Prompt, page: str) -> str:
        return ask_about_page(arguments.url, arguments.model, prompt, page, _ANSWER_TOKENS)

    short = list(_short_pages(arguments.file, arguments.only))
    known = _drawn(short, arguments.learn_from, held_out=False)
    unseen = _drawn(short, arguments.pages, held_out=True)
    learned_pages = [_reviewed(page, scheme, ask) for page in known]
    rules = CandidateRules(scheme, arguments.excerpt)
    candidates = [each for page in learned_pages for each in candidates_of(page, rules)]
    selection = select_examples(candidates, arguments.tokens, 100)
    print(f"{len(candidates)} excerpts, {len(selection.chosen)} of them chosen, {selection.tokens} tokens")
    print(_figures("learned from", [judge(page) for page in learned_pages]), flush=True)
    drawn = _by_lot(candidates, len(selection.chosen))
    sets: dict[str, Sequence[Example]] = {
        "own": scheme.examples,
        "learned": [each.example for each in selection.in_order],
        "lot": [each.example for each in drawn],
        "none": (),
    }
    before: list[JudgedPage] = []
    for name in arguments.sets.split(","):
        with_them = scheme.model_copy(update={"examples": tuple(sets[name])})
        judged = [judge(_reviewed(page, with_them, ask)) for page in unseen]
        before = before or judged
        print(_figures(name, judged), _difference(before, judged), flush=True)


def _short_pages(file: Path, prefix: str) -> Iterator[ReviewedPage]:
    """The pages in pieces that no span reaches out of, those with a span."""
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows: list[dict[str, Any]] = [json.loads(line) for line in content.splitlines()]
    for row in rows:
        if not row["page_id"].startswith(prefix):
            continue
        gold = [Mark(each["start"], each["end"], each["label"]) for each in row["gold"]]
        for number, chunk in enumerate(chunk_page(row["text"], ChunkLimits(_PAGE_TOKENS, 0))):
            touched = [mark for mark in gold if mark.start < chunk.end and chunk.start < mark.end]
            inside = [
                Mark(mark.start - chunk.start, mark.end - chunk.start, mark.label)
                for mark in touched
                if chunk.start <= mark.start and mark.end <= chunk.end
            ]
            if inside and len(inside) == len(touched):
                text = row["text"][chunk.start : chunk.end]
                yield ReviewedPage(row["page_id"], number, text, tuple(inside), ())


def _drawn(pages: Sequence[ReviewedPage], count: int, *, held_out: bool) -> list[ReviewedPage]:
    """One page a document, as many as there are, the same each time."""
    of_side = sorted((page for page in pages if is_held_out(page.doc_id) is held_out), key=_lot)
    first = {page.doc_id: page for page in reversed(of_side)}
    return sorted(first.values(), key=_lot)[:count]


def _lot(page: ReviewedPage) -> str:
    return digest_of(f"{page.doc_id}:{page.page_num}")


def _by_lot(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    return sorted(
        (each for each in candidates if each.example.spans),
        key=lambda each: hashlib.sha256(each.example.text.encode()).digest(),
    )[:count]


def _reviewed(page: ReviewedPage, scheme: LabelScheme, ask: Ask) -> ReviewedPage:
    """The page with what the model says of it."""
    prompt = build_prompt(scheme)
    parsed = parse_answer(ask(prompt, page.text))
    quotes = [Quote(each.label, each.text) for each in parsed.quotes if each.label in prompt.labels]
    suggested, given = {}, []
    for quote, result in zip(quotes, ground(page.text, quotes), strict=True):
        if isinstance(result, Grounding):
            place = result.start, result.end
            suggested[*place, quote.label] = SuggestedSpan(*place, quote.label)
            given.append(GivenQuote(quote.label, quote.text, QuoteOutcome.KEPT, place))
    return ReviewedPage(
        page.doc_id, page.page_num, page.text, page.gold, tuple(suggested.values()), tuple(given)
    )


def _figures(name: str, judged: Sequence[JudgedPage]) -> str:
    scores = score_pages(judged, ActionCosts(), _SAMPLES)
    strict, overlap = scores.overall(Scheme.STRICT), scores.overall(Scheme.OVERLAP)
    return (
        f"{name:<12} {scores.pages} pages, {scores.gold} spans, {scores.suggested} suggested; "
        f"P {strict.precision.words} R {strict.recall.words} F1 {strict.f1.words}, overlap {overlap.f1.words}"
    )


def _difference(before: Sequence[JudgedPage], after: Sequence[JudgedPage]) -> str:
    """Of F1, and where it lies in 95 of 100 samples of the documents: each page is of another one."""
    parts = np.array([[_counts(page) for page in pages] for pages in (before, after)], dtype=float)
    draws = np.random.Generator(np.random.PCG64(1)).integers(0, len(before), (_SAMPLES, len(before)))
    sums = parts[:, draws].sum(axis=2)
    with np.errstate(invalid="ignore"):
        of_samples = np.nan_to_num(2 * sums[..., 0] / sums[..., 1])
        of_all = np.nan_to_num(2 * parts.sum(axis=1)[:, 0] / parts.sum(axis=1)[:, 1])
    low, high = np.quantile(of_samples[1] - of_samples[0], (0.025, 0.975))
    return f"| {of_all[1] - of_all[0]:+.3f} ({low:+.3f} to {high:+.3f})"


def _counts(page: JudgedPage) -> tuple[int, int]:
    kept = sum(decision.is_kept for decision in page.actions.decisions)
    return kept, page.gold + len(page.actions.decisions)


if __name__ == "__main__":
    main()
