"""Asset checks: the visible record of what was verified, on what is really published.

The asset verifies before it publishes. Where the very Parquet that was verified is in place, the checks show
what was found then; otherwise they read it again, in one pass.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    MetadataValue,
    multi_asset_check,
)

from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.check_results import (
    FAILURES_ALLOWED,
    MOST_LISTED,
    Share,
    check_specs,
    failed_page_table,
    offender_table,
    share_result,
)
from preannotation_assets.defs.partitions import dataset_of
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.errors import VerificationError
from preannotation_assets.extraction.empty_answers import (
    FEWEST_ANSWERS,
    PageAnswer,
    answered_pages,
    are_nearly_all,
    page_doubts,
)
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.losses import loss_words
from preannotation_assets.publishing.publisher import recall_verification, verify_dataset
from preannotation_assets.publishing.shown_ids import counted
from preannotation_assets.publishing.verification import Offence, Rule, SpanRules, VerificationReport

__all__ = ["suggestion_checks"]

_RULES: Final = {
    "offsets": (Rule.PAGE, Rule.OFFSETS, Rule.TEXT, Rule.HASH),
    "span_ids": (Rule.SPAN_ID, Rule.UNIQUE),
    "contract": (
        Rule.LABEL,
        Rule.CONFIDENCE,
        Rule.ORDER,
        Rule.OVERLAP,
        Rule.AGENT,
        Rule.ONE_AGENT,
        Rule.SPANS,
        Rule.STATE,
    ),
}
_DESCRIPTIONS: Final = {
    "offsets": "Every row's text is exactly page_text[start:end], of the page in the version that was read.",
    "span_ids": "span_ids are made as the contract says, and none occurs twice.",
    "contract": "The twelve columns and their types, known labels, confidence in [0, 1], order, overlaps; "
    "what Argilla takes; every page in one state.",
    "failed_pages": "At most 1 % of the pages failed.",
    "grounded_quotes": "At least 80 % of the model's quotes were found on their page.",
    "empty_answers": f"Of {FEWEST_ANSWERS} or more pages with text, fewer than 90 % came back empty.",
    "kept_rows": "Of the rows published before, at least half are left on pages that were asked the same.",
}
_GROUNDED_QUOTES_WANTED: Final = 0.80
_GROUNDED: Final = frozenset(each for each in QuoteOutcome if each.is_grounded)


@multi_asset_check(specs=check_specs(suggestions, _DESCRIPTIONS), can_subset=True)
def suggestion_checks(
    context: AssetCheckExecutionContext, storage: StorageResource, label_scheme: LabelSchemeResource
) -> Iterator[AssetCheckResult]:
    """Reports on the checks that were asked for what was verified, or reads the rows once.

    Offenders are told by id, 20 a rule.
    """
    store, dataset = storage.open(), dataset_of(context)
    selected = {key.name for key in context.selected_asset_check_keys}
    if selected & _RULES.keys():
        scheme = label_scheme.load()
        rules = SpanRules(scheme.label_names, scheme.overlaps)
        yield from (
            result for result in _rule_results(store, dataset, rules) if result.check_name in selected
        )
    manifest = require_manifest(
        store, DatasetLayout(dataset).published_manifest, SuggestionsManifest, dataset, "suggestions"
    )
    for name, result in _SHARES.items():
        if name in selected:
            yield result(store, manifest)


def _rule_results(store: ObjectStore, dataset: str, spans: SpanRules) -> Iterator[AssetCheckResult]:
    try:
        report = recall_verification(store, dataset, spans) or verify_dataset(store, dataset, spans)
        broken_contract = ""
    except VerificationError as error:
        report, broken_contract = VerificationReport(), str(error)
    differences = "; ".join(report.differences)
    for name, rules in _RULES.items():
        broken = broken_contract or (differences if name == "contract" else "")
        yield _rule_result(name, rules, report, broken)


def _failed_pages(_: ObjectStore, manifest: SuggestionsManifest) -> AssetCheckResult:
    failed = manifest.failed_pages
    share = Share(len(failed), len(failed) + manifest.pages_processed)
    return share_result(
        "failed_pages",
        share,
        passed=share.count <= FAILURES_ALLOWED * share.total,
        words=f"{share} pages failed: {counted(Counter(page.reason for page in failed))}; the loader keeps "
        f"what they had; preannotate run {manifest.dataset} asks again what got no answer",
        offenders=failed_page_table(failed),
    )


def _grounded_quotes(store: ObjectStore, manifest: SuggestionsManifest) -> AssetCheckResult:
    quotes = manifest.quotes_by_outcome
    share = Share(sum(quotes.get(each, 0) for each in _GROUNDED), sum(quotes.values()))
    lost = Counter({name: count for name, count in quotes.items() if count and name not in _GROUNDED})
    passed = share.count >= _GROUNDED_QUOTES_WANTED * share.total
    return share_result(
        "grounded_quotes",
        share,
        passed=passed,
        words=f"{share} quotes were found on their page, 80 % are wanted; the others: {counted(lost)}; "
        f"preannotate try {manifest.dataset} shows each with its reason",
        offenders=None if passed else _pages_with_lost_quotes(store, manifest),
    )


def _pages_with_lost_quotes(store: ObjectStore, manifest: SuggestionsManifest) -> MetadataValue:
    """The pages with the most quotes that were not found on them."""
    folder = DatasetLayout(manifest.dataset).groundings(manifest.input_version)
    lost: Counter[tuple[str, int]] = Counter()
    for entry in store.list(f"{folder}/"):
        for row in read_table(store, entry.key, ("doc_id", "page_num", "outcome")).to_pylist():
            if row["outcome"] not in _GROUNDED:
                lost[row["doc_id"], row["page_num"]] += 1
    rows = [(*page, count) for page, count in lost.most_common(MOST_LISTED)]
    return offender_table(("doc_id", "page_num", "quotes"), rows)


def _empty_answers(_: ObjectStore, manifest: SuggestionsManifest) -> AssetCheckResult:
    pages = manifest.pages_by_answer
    share = Share(pages.get(PageAnswer.EMPTY, 0), answered_pages(pages))
    return share_result(
        "empty_answers",
        share,
        passed=not are_nearly_all(share.count, share.total),
        words="; ".join(page_doubts(pages)),
        offenders=offender_table(
            ("doc_id", "page_num"),
            [(page.doc_id, page.page_num) for page in manifest.pages_without_spans[:MOST_LISTED]],
        ),
    )


def _kept_rows(_: ObjectStore, manifest: SuggestionsManifest) -> AssetCheckResult:
    compared = manifest.comparison
    share = Share(compared.rows, compared.rows_before) if compared else Share(0, 0)
    loss = loss_words(compared)
    words = f"{loss}; look at some pages with preannotate try {manifest.dataset}"
    return share_result("kept_rows", share, passed=loss is None, words=words)


_SHARES: Final[Mapping[str, Callable[[ObjectStore, SuggestionsManifest], AssetCheckResult]]] = {
    "failed_pages": _failed_pages,
    "grounded_quotes": _grounded_quotes,
    "empty_answers": _empty_answers,
    "kept_rows": _kept_rows,
}


def _rule_result(
    name: str, rules: Sequence[Rule], report: VerificationReport, broken_contract: str
) -> AssetCheckResult:
    offences = {rule.value: report.offences[rule] for rule in rules if report.offences[rule]}
    offenders = [offender for offender in report.offenders if offender.rule in rules]
    return AssetCheckResult(
        check_name=name,
        passed=not offences and not broken_contract,
        severity=AssetCheckSeverity.ERROR,
        description=broken_contract or _rule_words(offences),
        metadata={
            "rows": report.rows,
            "pages_argilla_marks_shifted": report.shifted_pages,
            **{f"not: {rule}": count for rule, count in offences.items()},
            **({"offenders": _offence_table(offenders)} if offenders else {}),
        },
    )


def _rule_words(offences: Mapping[str, int]) -> str | None:
    if not offences:
        return None
    counts = "; ".join(f"{count} x not: {rule}" for rule, count in offences.items())
    return f"{counts}; the published Parquet is not as it was verified: preannotate verify names the rows"


def _offence_table(offenders: Sequence[Offence]) -> MetadataValue:
    """20 a rule, not in all."""
    return offender_table(
        ("rule", "doc_id", "page_num", "span_id"),
        [(item.rule.value, item.doc_id, item.page_num, item.span_id) for item in offenders],
    )
