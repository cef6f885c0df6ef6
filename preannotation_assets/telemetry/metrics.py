"""Metrics for machines: whether somebody collects them, and what is told to whoever does.

OpenTelemetry's SDK takes half a second to import and starts a thread; neither happens unless its own
variables name a collector.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.throttling.dispatcher import Progress
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["MetricsSink", "exported_metrics", "metrics_wanted", "watched"]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class MetricsSink(Protocol):
    """Takes what happens to requests."""

    def observe(self, endpoint: str, report: PermitReport) -> None:
        """Counts an attempt; callable from any thread, and done at once."""

    def watch(self, progress: Callable[[], Progress]) -> None:
        """Asks ``progress`` for what is in flight, whenever the metrics are sent."""


class _Nobody:
    """The sink where nobody collects."""

    def observe(self, endpoint: str, report: PermitReport) -> None:
        """Does nothing."""

    def watch(self, progress: Callable[[], Progress]) -> None:
        """Does nothing."""


def metrics_wanted(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's variables name a collector for metrics and do not switch it off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get("OTEL_METRICS_EXPORTER", "").strip() or "otlp"
    return "otlp" in exporters.split(",") and any(environment.get(name, "").strip() for name in _ENDPOINTS)


@contextmanager
def exported_metrics(
    environment: Mapping[str, str], names: RunNames, log: Callable[[str], None]
) -> Iterator[MetricsSink]:
    """Sends metrics while the body runs, and once more at its end, for which it takes 4 s at most.

    A collector that is out of reach costs one line in the ``log`` and nothing else.
    """
    if not metrics_wanted(environment):
        yield _Nobody()
        return
    from preannotation_assets.telemetry.open_telemetry import OpenTelemetrySink  # noqa: PLC0415

    sink = OpenTelemetrySink(names, log)
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def watched(sink: MetricsSink, progress: Callable[[], Progress]) -> Iterator[None]:
    """Lets the sink ask for the progress while the body runs; afterwards what was last is left with it."""
    sink.watch(progress)
    try:
        yield
    finally:
        last = progress()
        sink.watch(lambda: last)
