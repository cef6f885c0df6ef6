"""Holds what is published for a dataset against what experts answered."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from preannotation_assets.evaluation.actions import ActionCosts
from preannotation_assets.evaluation.agreement import AgreementTally
from preannotation_assets.evaluation.empty_pages import EmptyPages, PageSample, measure_empty_pages
from preannotation_assets.evaluation.held_out import digest_of
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.pages import PageKey, ReviewedPage
from preannotation_assets.evaluation.responses import (
    GoldRule,
    PageText,
    Response,
    ResponseUse,
    parse_gold_rule,
    select_responses,
)
from preannotation_assets.evaluation.scores import score_pages
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.evaluation.decisions import write_decisions
from preannotation_assets.publishing.evaluation.documents import ReportPages, write_report
from preannotation_assets.publishing.evaluation.page_requests import read_page_requests
from preannotation_assets.publishing.evaluation.reading import PublishedPage, published_pages
from preannotation_assets.publishing.evaluation.responses import lake_responses, responses_by_page
from preannotation_assets.publishing.evaluation.results import Agreement, Evaluation, write_evaluation
from preannotation_assets.publishing.published_file import downloaded, verify_file
from preannotation_assets.publishing.report.reading import Batch, read_batch
from preannotation_assets.temporary_folders import temporary_folder

__all__ = ["EvaluationRules", "ReviewedPages", "evaluate_dataset", "find_responses", "verified"]

# Never that of a page: responses about a page whose published text is not at hand are of another text.
_OTHER_TEXT: Final = PageText("", 0)


@dataclass(frozen=True, slots=True)
class EvaluationRules:
    """How an evaluation is made: the rule for the gold as a setting has it, costs of actions, samples."""

    gold: str = "latest"
    costs: ActionCosts = field(default_factory=ActionCosts)
    samples: int = 1000

    @classmethod
    def parse(cls, gold: str, costs: str, samples: int) -> "EvaluationRules":
        """The rules as settings have them.

        Raises:
            SettingsError: the rule for the gold, or a cost, is none.
        """
        parse_gold_rule(gold)
        return cls(gold, ActionCosts.parse(costs), samples)


@dataclass(slots=True)
class ReviewedPages:
    """What comes of the pages as they are walked through.

    Documents in ``learned_from`` (by ``digest_of``) gave the model its examples, and do not count.
    """

    gold_rule: GoldRule
    responses: dict[PageKey, list[Response]]
    learned_from: frozenset[str] = frozenset()
    uses: Counter[str] = field(default_factory=Counter)
    annotators: set[str] = field(default_factory=set)
    agreement: AgreementTally = field(default_factory=AgreementTally)
    without_gold: int = 0
    pages: list[JudgedPage] = field(default_factory=list)
    hashes: dict[PageKey, str] = field(default_factory=dict)

    def of(self, page: PublishedPage) -> ReviewedPage | None:
        """The page with its gold; None where nobody reviewed it in the version that was published."""
        key = page.doc_id, page.page_num
        given = self.responses.pop(key, [])
        is_learned_from = digest_of(page.doc_id) in self.learned_from
        text = PageText(page.text_sha256, len(page.text), is_learned_from) if page.is_current else _OTHER_TEXT
        selected = select_responses(given, {key: text})
        self.uses.update(selected.uses)
        counted = selected.by_page.get(key, ())
        if not counted:
            return None
        self.annotators.update(response.annotator for response in counted)
        self.agreement.add(len(page.text), counted)
        gold = self.gold_rule(counted)
        if gold is None:
            self.without_gold += 1
            return None
        return ReviewedPage(*key, page.text, gold, page.suggested, page.quotes, page.failure)

    def judged(self, pages: Iterator[PublishedPage]) -> Iterator[tuple[ReviewedPage, JudgedPage]]:
        """The reviewed ones of all pages; when the last one is through, what is left is of no page."""
        for page in pages:
            reviewed = self.of(page)
            if reviewed is None:
                continue
            judged = judge(reviewed)
            self.pages.append(judged)
            self.hashes[page.doc_id, page.page_num] = page.text_sha256
            yield reviewed, judged
        left = [response for given in self.responses.values() for response in given]
        self.uses.update(select_responses(left, {}).uses)


def evaluate_dataset(
    store: ObjectStore,
    dataset: str,
    ask_warehouse: Callable[[], pa.Table | None],
    scheme: LabelScheme,
    rules: EvaluationRules,
) -> Evaluation:
    """Evaluates what is published, and writes figures, decisions and report where any page was reviewed.

    The responses are those in the lake, where it has any file of them, else those of the warehouse. Documents
    do not count that examples came from, those of the scheme or of the publication.

    Raises:
        BatchError: the dataset is not materialized.
        SettingsError: the rule for the gold is none.
        StorageError: the lake cannot be read or written.
        VerificationError: the published Parquet is not the one that its manifest names.
        WarehouseError: the view of responses cannot be read.
    """
    gold_rule = parse_gold_rule(rules.gold)
    batch = read_batch(store, dataset)
    source, responses = find_responses(store, batch.layout, ask_warehouse)
    learned_from = scheme.learned_from.union(batch.published.learned_from)
    reviewed = ReviewedPages(gold_rule, dict(responses), learned_from)
    sample = PageSample(len(responses))
    with temporary_folder() as folder:
        shown = ReportPages(folder / "pages")
        if responses:
            with verified(store, batch) as published:
                for page, judged in reviewed.judged(published_pages(store, batch, published)):
                    shown.add(page, judged)
                    sample.add(page)
        empty_pages = _empty_pages(store, batch, sample, rules)
        evaluation = _evaluation(batch, source, reviewed, rules, empty_pages)
        if evaluation.scores.pages:
            write_decisions(store, batch.layout, reviewed.pages, reviewed.hashes, batch.published)
            write_report(store, batch.layout, evaluation, scheme, shown)
            write_evaluation(store, batch.layout, evaluation)
    return evaluation


def find_responses(
    store: ObjectStore, layout: DatasetLayout, ask_warehouse: Callable[[], pa.Table | None]
) -> tuple[str | None, Mapping[PageKey, list[Response]]]:
    """Where a dataset's responses came from, and what they are by page; None and nothing without any.

    Raises:
        DamagedObjectError: a file of responses has other columns.
        StorageError: the lake cannot be read.
        WarehouseError: the view of responses cannot be read.
    """
    table = lake_responses(store, layout)
    if table is not None:
        return "lake", responses_by_page(table, store.uri(layout.responses))
    table = ask_warehouse()
    if table is None or not table.num_rows:
        return None, {}
    return "warehouse", responses_by_page(table, "vw_argilla_responses")


@contextmanager
def verified(store: ObjectStore, batch: Batch) -> Iterator[Path]:
    """Lends the published Parquet as a temporary file, once it is the one that its manifest names.

    Raises:
        StorageError: the lake cannot be read.
        VerificationError: it is missing, or another one.
    """
    with downloaded(store, batch.layout, batch.published) as path:
        verify_file(path, batch.published)
        yield path


def _empty_pages(store: ObjectStore, batch: Batch, sample: PageSample, rules: EvaluationRules) -> EmptyPages:
    taken = read_page_requests(store, batch, set(sample.keys)) if sample.is_enough else None
    return measure_empty_pages(sample, taken, rules.samples)


def _evaluation(
    batch: Batch,
    source: str | None,
    reviewed: ReviewedPages,
    rules: EvaluationRules,
    empty_pages: EmptyPages,
) -> Evaluation:
    published = batch.published
    return Evaluation(
        dataset=batch.layout.dataset,
        model=published.model,
        model_version=published.model_version,
        prompt_version=published.prompt_version,
        scheme_version=published.scheme_version,
        content_hash=published.content_hash,
        evaluated_at=datetime.now(UTC),
        gold_rule=rules.gold,
        source=source,
        uses={use: reviewed.uses[use] for use in ResponseUse if reviewed.uses[use]},
        annotators=len(reviewed.annotators),
        pages_without_gold=reviewed.without_gold,
        agreement=Agreement.of(reviewed.agreement),
        scores=score_pages(reviewed.pages, rules.costs, rules.samples),
        empty_pages=empty_pages,
    )
