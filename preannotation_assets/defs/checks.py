"""Asset checks: the visible record of what was verified, on what is really published.

The asset verifies before it publishes. Where the very Parquet that was verified is in place, the checks show
what was found then; otherwise they read it again, in one pass.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Final

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    MetadataValue,
    PreviewWarning,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
)

from preannotation_assets.defs.assets.suggestions import suggestions
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.errors import VerificationError
from preannotation_assets.extraction.empty_answers import (
    FEWEST_ANSWERS,
    PageAnswer,
    answered_pages,
    are_nearly_all,
)
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.losses import loss_words
from preannotation_assets.publishing.publisher import recall_verification, verify_dataset
from preannotation_assets.publishing.shown_ids import shown_id
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
_FAILED_PAGES_ALLOWED: Final = 0.01
_GROUNDED_QUOTES_WANTED: Final = 0.80


def _specs() -> list[AssetCheckSpec]:
    """One result a check and dataset; without partitions a dataset's failure would be hidden by the next run.

    That checks have partitions is new in Dagster 1.13, which warns that it may change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            AssetCheckSpec(name, asset=suggestions, description=description, partitions_def=DATASETS)
            for name, description in _DESCRIPTIONS.items()
        ]


@multi_asset_check(specs=_specs())
def suggestion_checks(
    context: AssetCheckExecutionContext, storage: StorageResource, label_scheme: LabelSchemeResource
) -> Iterator[AssetCheckResult]:
    """Reports on every check what was verified, or reads the rows once; offenders by id, 20 a rule."""
    store = storage.open()
    dataset = context.partition_key
    scheme = label_scheme.load()
    spans = SpanRules(scheme.label_names, scheme.overlaps)
    try:
        report = recall_verification(store, dataset, spans) or verify_dataset(store, dataset, spans)
        broken_contract = ""
    except VerificationError as error:
        report, broken_contract = VerificationReport(), str(error)
    differences = "; ".join(report.differences)
    for name, rules in _RULES.items():
        broken = broken_contract or (differences if name == "contract" else "")
        yield _rule_result(name, rules, report, broken)
    manifest = require_manifest(
        store, DatasetLayout(dataset).published_manifest, SuggestionsManifest, dataset, "suggestions"
    )
    failed, pages = len(manifest.failed_pages), len(manifest.failed_pages) + manifest.pages_processed
    yield _rate_result("failed_pages", failed, pages, failed <= _FAILED_PAGES_ALLOWED * pages)
    quotes = sum(manifest.quotes_by_outcome.values())
    grounded = sum(manifest.quotes_by_outcome.get(each, 0) for each in QuoteOutcome if each.is_grounded)
    yield _rate_result("grounded_quotes", grounded, quotes, grounded >= _GROUNDED_QUOTES_WANTED * quotes)
    empty = manifest.pages_by_answer.get(PageAnswer.EMPTY, 0)
    answered = answered_pages(manifest.pages_by_answer)
    yield _rate_result("empty_answers", empty, answered, not are_nearly_all(empty, answered))
    compared = manifest.comparison
    kept, before = (compared.rows, compared.rows_before) if compared else (0, 0)
    yield _rate_result("kept_rows", kept, before, loss_words(compared) is None)


def _rule_result(
    name: str, rules: Sequence[Rule], report: VerificationReport, broken_contract: str
) -> AssetCheckResult:
    offences = {rule.value: report.offences[rule] for rule in rules if report.offences[rule]}
    offenders = [offender for offender in report.offenders if offender.rule in rules]
    return AssetCheckResult(
        check_name=name,
        passed=not offences and not broken_contract,
        severity=AssetCheckSeverity.ERROR,
        description=broken_contract or None,
        metadata={
            "rows": report.rows,
            "pages_argilla_marks_shifted": report.shifted_pages,
            **{f"not: {rule}": count for rule, count in offences.items()},
            **({"offenders": _offender_table(offenders)} if offenders else {}),
        },
    )


def _offender_table(offenders: Sequence[Offence]) -> MetadataValue:
    records = [
        TableRecord(
            {
                "rule": item.rule.value,
                "doc_id": shown_id(item.doc_id),
                "page_num": item.page_num,
                "span_id": shown_id(item.span_id),
            }
        )
        for item in offenders
    ]
    columns = [TableColumn(name) for name in ("rule", "doc_id", "page_num", "span_id")]
    return MetadataValue.table(records, TableSchema(columns))


def _rate_result(name: str, count: int, total: int, passed: bool) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=AssetCheckSeverity.WARN,
        metadata={"count": count, "of": total, "share": round(count / total, 4) if total else None},
    )
