"""The asset ``suggestions``: grounded, merged, verified, and published as a whole."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from itertools import chain

from dagster import (
    AssetExecutionContext,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    asset,
)

from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.defs.assets.common import OWNERS, MetadataValues, column_schema
from preannotation_assets.defs.assets.quality import ratio
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.assets.suggestions.inputs import SUGGESTIONS_CODE, SuggestionInputs
from preannotation_assets.defs.assets.suggestions.metadata import suggestions_metadata
from preannotation_assets.defs.assets.watched_parts import watched_parts
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.publishing import PublishingResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.errors import PreannotationError
from preannotation_assets.lake import FetchedBytes, ObjectStore
from preannotation_assets.lake.batch import read_manifest, sweep_stage
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import FailedPage, PageVersion, SuggestionsManifest
from preannotation_assets.page_lists import PageList, page_place
from preannotation_assets.publishing.calibrations import (
    calibration_doubt,
    version_of_answers,
    version_of_model,
)
from preannotation_assets.publishing.doubts import doubts
from preannotation_assets.publishing.publisher import Publication, publish
from preannotation_assets.publishing.report import write_report
from preannotation_assets.publishing.request_account import RequestAccount, read_requests
from preannotation_assets.publishing.review_order import update_review_order
from preannotation_assets.publishing.verification import SpanRules
from preannotation_assets.tasks.engine import Watch
from preannotation_assets.tasks.ground_answers import (
    GroundAnswers,
    GroundedPart,
    ground_answers,
    shares_of_parts,
)
from preannotation_assets.telemetry.stage_progress import (
    PageCount,
    ProgressDisplay,
    StageReporter,
    report_count,
)

__all__ = ["suggestions"]


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"pyspark", "parquet"},
    owners=OWNERS,
    deps=[raw_model_outputs],
    code_version=SUGGESTIONS_CODE,
    metadata=column_schema(SUGGESTIONS),
    # Nothing: without it Dagster takes anything.
    config_schema={},
)
def suggestions(
    context: AssetExecutionContext,
    storage: StorageResource,
    spark: SparkResource,
    label_scheme: LabelSchemeResource,
    publishing: PublishingResource,
    cascade: CascadeResource,
    progress: ResourceParam[ProgressDisplay],
) -> MaterializeResult[None]:
    """The published spans: every quote at its exact place on the page, or left out with a reason.

    Every row is checked against its page before anything is published; then one Parquet file is replaced
    as a whole, and its manifest after it. A publication that takes away more of the rows before than the
    resource allows, of pages that were asked the same, is not made.
    """
    began = time.monotonic()
    store = storage.open_for_publishing()
    layout = DatasetLayout(context.partition_key)
    inputs = SuggestionInputs.read(store, layout, label_scheme, publishing, cascade)
    for doubt in _calibration_doubts(inputs):
        context.log.warning(doubt)
    publication, fetched, requests = _published_already(store, inputs), FetchedBytes(), None
    if publication is None:
        parts = _ground(inputs, storage, spark, watched_parts(context.log, progress, "grounding"))
        requests = read_requests(store, layout, inputs.outputs)
        fetched = sum((part.fetched for part in parts), fetched)
        draft = _draft(inputs, parts, requests, context.run.run_id)
        count, reporter = PageCount(), StageReporter(context.log.log, progress)
        with report_count(reporter, "publishing", "pages", inputs.pages.pages, lambda: count.done):
            publication = _publish(store, inputs, len(parts), draft, publishing.most_rows_lost, count)
        sweep_stage(store, layout, "suggestions", inputs.version)
    update_review_order(store, layout, publication.manifest, inputs.calibration)
    manifest = publication.manifest
    context.log.info(
        f"{manifest.rows} suggestions on {manifest.pages_with_spans} pages, "
        f"{len(manifest.failed_pages)} pages failed, "
        + ("published" if publication.changed else "unchanged since the last publication")
    )
    for doubt in doubts(manifest):
        context.log.warning(doubt)
    metadata = suggestions_metadata(store, inputs, publication, fetched, time.monotonic() - began)
    return MaterializeResult(
        data_version=DataVersion(manifest.content_hash),
        metadata=metadata | _report(context, store, inputs, requests),
    )


def _calibration_doubts(inputs: SuggestionInputs) -> Iterator[str]:
    outputs = inputs.outputs
    versions = {version_of_answers(outputs.model_version): inputs.calibration}
    if outputs.cascade:
        small = version_of_model(outputs.cascade.model_digest, outputs.prompt_version)
        versions[small] = inputs.small_calibration
    for version, calibration in versions.items():
        if doubt := calibration_doubt(calibration, version):
            yield doubt


def _report(
    context: AssetExecutionContext,
    store: ObjectStore,
    inputs: SuggestionInputs,
    requests: RequestAccount | None,
) -> MetadataValues:
    """Where the report is that shows the suggestions on their pages; what is published stays without it."""
    try:
        address = write_report(store, inputs.layout.dataset, inputs.scheme, requests)
    except PreannotationError as error:
        context.log.warning(f"the suggestions are published, their preview is not written: {error}")
        return {}
    return {"report": MetadataValue.path(address)}


def _published_already(store: ObjectStore, inputs: SuggestionInputs) -> Publication | None:
    """The present publication, if it was made of the same inputs and is still in place."""
    manifest = read_manifest(store, inputs.layout.published_manifest, SuggestionsManifest)
    if manifest is None or manifest.input_version != inputs.version:
        return None
    stat = store.stat(inputs.layout.published_suggestions)
    return Publication(manifest, changed=False) if stat and stat.etag == manifest.parquet_etag else None


def _ground(
    inputs: SuggestionInputs, storage: StorageResource, spark: SparkResource, watch: Watch
) -> list[GroundedPart]:
    pages_folder = inputs.layout.stage("pages", inputs.outputs.pages_version)
    # Once: the version is a hash of whole manifests.
    rows_folder, groundings_folder = inputs.rows_folder, inputs.layout.groundings(inputs.version)
    shared = [
        (part, share, shares)
        for part, shares in enumerate(shares_of_parts(_part_bytes(storage.open(), inputs)))
        for share in range(shares)
    ]
    tasks = [
        GroundAnswers(
            location=storage.location(),
            pages_key=part_key(pages_folder, part),
            outputs_key=part_key(inputs.outputs_folder, part),
            suggestions_key=part_key(rows_folder, number),
            groundings_key=part_key(groundings_folder, number),
            labels=inputs.scheme.label_names,
            overlaps_allowed=inputs.scheme.overlaps,
            rules=inputs.scheme.value_rules,
            model=inputs.outputs.model,
            model_version=inputs.model_version,
            calibration=inputs.calibration,
            small_model=inputs.outputs.cascade.model if inputs.outputs.cascade else None,
            small_calibration=inputs.small_calibration,
            holds_back=inputs.holds_back,
            share=share,
            shares=shares,
        )
        for number, (part, share, shares) in enumerate(shared)
    ]
    return spark.run(tasks, ground_answers, watch)


def _part_bytes(store: ObjectStore, inputs: SuggestionInputs) -> list[int]:
    """The bytes of the answers, part by part; 0 where there is none, which its task will tell."""
    sizes = {entry.key: entry.size for entry in store.list(f"{inputs.outputs_folder}/")}
    parts = range(len(inputs.outputs.part_rows))
    return [sizes.get(part_key(inputs.outputs_folder, part), 0) for part in parts]


def _publish(
    store: ObjectStore,
    inputs: SuggestionInputs,
    tasks: int,
    draft: SuggestionsManifest,
    most_rows_lost: float,
    count: PageCount,
) -> Publication:
    """Publishes what so many tasks have grounded."""
    rows_folder = inputs.rows_folder
    return publish(
        store,
        inputs.layout,
        [part_key(rows_folder, number) for number in range(tasks)],
        inputs.pages,
        draft,
        SpanRules(inputs.scheme.label_names, inputs.scheme.overlaps),
        most_rows_lost,
        count.passing,
    )


def _draft(
    inputs: SuggestionInputs, parts: Sequence[GroundedPart], requests: RequestAccount, run_id: str
) -> SuggestionsManifest:
    """The manifest, but for what only the merged Parquet can tell."""
    without_spans = PageList(PageVersion, chain.from_iterable(part.pages_without_spans for part in parts))
    failed = chain.from_iterable(part.failed_pages for part in parts)
    with_spans = sum(part.pages_with_spans for part in parts)
    confidences = sum(part.known_confidences for part in parts)
    return SuggestionsManifest(
        dataset=inputs.layout.dataset,
        rows=0,
        bytes=0,
        pages_processed=with_spans + len(without_spans),
        pages_with_spans=with_spans,
        pages_without_spans=without_spans,
        failed_pages=PageList(FailedPage, merge(inputs.pages.failed_pages, failed, key=page_place)),
        spans_by_label=_total(part.spans_by_label for part in parts),
        quotes_by_outcome=_total(part.outcomes for part in parts),
        groundings_by_match=_total(part.matches for part in parts),
        values_by_verdict=_total(part.verdicts for part in parts),
        confidences_by_source=_total(part.confidence_sources for part in parts),
        pages_by_answer=_total(part.page_answers for part in parts),
        mean_confidence=ratio(sum(part.confidence_sum for part in parts), confidences),
        tokens=requests.tokens,
        calibration=inputs.calibration.content_hash if inputs.calibration else None,
        held_back=_total(part.held_back for part in parts),
        cascade=inputs.outputs.cascade,
        rows_by_model=_total(part.models for part in parts),
        model=inputs.outputs.model,
        model_version=inputs.model_version,
        prompt_version=inputs.outputs.prompt_version,
        model_notes=inputs.outputs.model_notes,
        scheme_version=inputs.scheme_version,
        learned_from=inputs.learned_from,
        input_version=inputs.version,
        source_fingerprint=inputs.pages.source_fingerprint,
        content_hash="",
        parquet_etag="",
        run_id=run_id,
        published_at=datetime.now(UTC),
    )


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sorted(sum((Counter(count) for count in counts), Counter[str]()).items()))
