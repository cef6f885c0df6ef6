"""The next version of a label scheme, with examples that experts' decisions about reviewed pages gave."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from preannotation_assets.comparing.reviewed import read_reviewed_pages
from preannotation_assets.errors import BatchError, SettingsError
from preannotation_assets.evaluation.examples import (
    Candidate,
    CandidateRules,
    Selection,
    Shown,
    ShownKind,
    candidates_of,
    select_examples,
)
from preannotation_assets.evaluation.held_out import digest_of, is_held_out
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.extraction.answer_format import answer_format
from preannotation_assets.extraction.labels import Example, ExampleSource, LabelScheme
from preannotation_assets.extraction.labels.models import MOST_EXAMPLES
from preannotation_assets.extraction.labels.rewriting import rewrite_scheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.lake import ObjectStore
from preannotation_assets.publishing.shown_ids import shown_id
from preannotation_assets.settings import Settings

__all__ = ["LearnedScheme", "LearningRequest", "ReviewedSides", "learn_scheme", "read_reviewed_sides"]

_USUAL_TOKENS: Final = 1500
# Of the budget: an excerpt no longer than that leaves room for others.
_EXCERPT_SHARE: Final = 5
_SHORTEST_EXCERPT: Final = 64
# Looking for excerpts takes about 50 ms of CPU a page; more pages hold little that these do not.
_MOST_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class LearningRequest:
    """What to learn from, and whether the scheme's own examples stay.

    ``tokens`` is the estimate for what is learned, at most; None for 1,500, or what the context has room for.
    """

    dataset: str
    tokens: int | None
    keeps_examples: bool


@dataclass(frozen=True, slots=True)
class ReviewedSides:
    """The reviewed pages: those to learn from, and those that are held out to measure with."""

    to_learn_from: Sequence[ReviewedPage]
    held_out: Sequence[ReviewedPage]


@dataclass(frozen=True, slots=True)
class LearnedScheme:
    """The text of the next version of a scheme, and what it was made of.

    ``kept`` are the examples that stayed, ``budget`` and the tokens of the selection are of the others.
    """

    dataset: str
    before: LabelScheme
    kept: Sequence[Example]
    text: str
    budget: int
    selection: Selection
    pages: int
    documents: int

    def lines(self) -> Iterator[str]:
        """The account: counts and names of labels, no page text."""
        selection = self.selection
        place = f"beside {len(self.kept)}" if self.kept else f"in place of {len(self.before.examples)}"
        documents = len({candidate.page[0] for candidate in selection.chosen})
        yield (
            f"dataset    {shown_id(self.dataset)}: learned from {self.pages} reviewed page(s) of "
            f"{self.documents} document(s)"
        )
        yield (
            f"examples   {len(selection.chosen)} {place}, about {selection.tokens} of {self.budget} tokens, "
            f"out of {documents} document(s)"
        )
        shown = {each.name for each in (*selection.shown, *_shown_by(self.kept))}
        missing = [name for name in self.before.label_names if name not in shown]
        without = f"; none of {', '.join(map(shown_id, missing))}" if missing else ""
        labels = len(self.before.labels)
        yield f"labels     {labels - len(missing)} of {labels} shown{without}"
        made, of_mistakes = (
            _of_kind(each, ShownKind.MISTAKE) for each in (selection.possible, selection.shown)
        )
        yield f"mistakes   {len(of_mistakes)} of the {len(made)} kinds that were made are shown"
        habits = _of_kind(selection.shown, ShownKind.HABIT)
        yield f"print      {', '.join(each.name for each in habits) or 'no habit of it was seen'}"


def _of_kind(shown: Set[Shown], kind: ShownKind) -> list[Shown]:
    return sorted(each for each in shown if each.kind is kind)


def read_reviewed_sides(
    store: ObjectStore, dataset: str, ask_warehouse: Callable[[], pa.Table | None], gold: str
) -> ReviewedSides:
    """The reviewed pages of a dataset, by the side that their documents are on.

    Raises:
        BatchError: none was reviewed, or none of a document to learn from.
        PreannotationError: the lake or the warehouse cannot be read.
    """
    pages = read_reviewed_pages(store, dataset, ask_warehouse, gold)
    to_learn_from = [page for page in pages if not is_held_out(page.doc_id)]
    if not to_learn_from:
        raise BatchError(
            f"all {len(pages)} reviewed page(s) of {dataset} are of documents that are held out",
            "have pages of more documents reviewed: half of all documents are to learn from",
        )
    return ReviewedSides(to_learn_from, [page for page in pages if is_held_out(page.doc_id)])


def learn_scheme(
    source: str,
    scheme: LabelScheme,
    pages: Sequence[ReviewedPage],
    request: LearningRequest,
    settings: Settings,
) -> LearnedScheme:
    """Chooses examples out of pages that are none of those held out.

    Raises:
        BatchError: no excerpt of the pages can be an example.
        LabelSchemeError: a label that cannot be asked for.
        SettingsError: so many tokens do not fit the context.
    """
    kept = scheme.examples if request.keeps_examples else ()
    budget = _budget(scheme.model_copy(update={"examples": kept}), request.tokens, settings)
    drawn = sorted(pages, key=lambda page: digest_of(f"{page.doc_id}:{page.page_num}"))[:_MOST_PAGES]
    candidates = list(_candidates(drawn, scheme, kept, budget, settings))
    selection = select_examples(candidates, budget, MOST_EXAMPLES - len(kept), Counter(_shown_by(kept)))
    if not selection.chosen:
        raise BatchError(
            f"no excerpt of {len(drawn)} reviewed page(s) can be an example within {budget} tokens",
            "give more tokens, or have more pages reviewed",
        )
    learned = [_with_source(candidate, request.dataset) for candidate in selection.in_order]
    examples = sorted([*kept, *learned], key=lambda example: bool(example.spans))
    return LearnedScheme(
        dataset=request.dataset,
        before=scheme,
        kept=kept,
        text=rewrite_scheme(source, scheme, examples),
        budget=budget,
        selection=selection,
        pages=len(drawn),
        documents=len({page.doc_id for page in drawn}),
    )


def _candidates(
    pages: Sequence[ReviewedPage],
    scheme: LabelScheme,
    kept: Sequence[Example],
    budget: int,
    settings: Settings,
) -> Iterator[Candidate]:
    """The excerpts that are no example yet."""
    own_format = answer_format(self_reported=settings.generation.self_reported)
    rules = CandidateRules(scheme, max(_SHORTEST_EXCERPT, budget // _EXCERPT_SHARE), own_format)
    taken = {example.text.strip() for example in kept}
    for page in pages:
        for candidate in candidates_of(page, rules):
            if candidate.example.text not in taken:
                yield candidate


def _with_source(candidate: Candidate, dataset: str) -> Example:
    source = ExampleSource(dataset=dataset, document=digest_of(candidate.page[0]))
    return candidate.example.model_copy(update={"source": source})


def _shown_by(examples: Sequence[Example]) -> Iterator[Shown]:
    """What the scheme's own examples show: of what the model does wrong with them nothing is known."""
    for example in examples:
        labels = {label for span in example.spans for label in span}
        yield from (Shown(ShownKind.LABEL, label) for label in sorted(labels))
        if not labels:
            yield Shown(ShownKind.NOTHING)


def _budget(scheme: LabelScheme, wanted: int | None, settings: Settings) -> int:
    """The tokens of what is learned, such that a chunk and an answer still have their room."""
    generation, chunk = settings.generation, settings.chunking.chunk_tokens
    prompt = build_prompt(scheme, answer_format(self_reported=generation.self_reported))
    room = generation.num_ctx - generation.num_predict - prompt.estimate_tokens(chunk)
    if room < (wanted or 1):
        raise SettingsError(
            f"{wanted or 'any'} tokens of examples do not fit: of the context of {generation.num_ctx} tokens "
            f"{max(0, room)} are left by instructions, a chunk and an answer",
            "give fewer tokens, raise PREANNOTATION_NUM_CTX or lower PREANNOTATION_CHUNK_TOKENS",
        )
    return min(_USUAL_TOKENS, room) if wanted is None else wanted
