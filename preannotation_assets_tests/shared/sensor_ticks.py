"""Ticks of the sensor as Dagster makes them, and publications that it finds made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dagster import (
    DagsterInstance,
    RunRequest,
    SensorDefinition,
    SensorResult,
    SkipReason,
    build_sensor_context,
)

from preannotation_assets.manifests import SuggestionsManifest

__all__ = ["Ticks", "publication_of", "requests_of"]


@dataclass
class Ticks:
    """The ticks of a sensor, and the cursor between them."""

    instance: DagsterInstance
    resources: Mapping[str, object]
    cursor: str | None = None

    def tick(self, sensor: SensorDefinition) -> SensorResult | SkipReason:
        """One evaluation; the cursor moves as Dagster moves it."""
        context = build_sensor_context(self.instance, cursor=self.cursor, resources=dict(self.resources))
        result = sensor(context)
        assert isinstance(result, SensorResult | SkipReason)
        self.cursor = result.cursor if isinstance(result, SensorResult) else context.cursor
        return result


def requests_of(result: SensorResult | SkipReason) -> list[RunRequest]:
    """The runs that a tick asks for."""
    return list(result.run_requests or []) if isinstance(result, SensorResult) else []


def publication_of(dataset: str, pages: int, fingerprint: str | None) -> SuggestionsManifest:
    """The manifest of a publication without suggestions, of the pages with this fingerprint."""
    return SuggestionsManifest(
        dataset=dataset,
        rows=0,
        bytes=0,
        pages_processed=pages,
        pages_with_spans=0,
        pages_without_spans=[],
        failed_pages=[],
        spans_by_label={},
        quotes_by_outcome={},
        groundings_by_match={},
        model="m",
        model_version="m@1",
        prompt_version="p",
        input_version="i",
        source_fingerprint=fingerprint,
        content_hash="h",
        parquet_etag="e",
        run_id="r",
        published_at=datetime.now(UTC),
    )
