"""The metrics of a run through OpenTelemetry's SDK, over OTLP with HTTP and protobuf.

Names and attributes that begin with ``gen_ai``, ``server`` and ``error`` are those of OpenTelemetry's
semantic conventions for clients of generative models; the others are this package's. Only
`telemetry.metrics` imports this module.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.throttling.dispatcher import Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["OpenTelemetrySink"]

_SCOPE: Final = "preannotation_assets"
_INTERVAL_MILLISECONDS: Final = 15_000
_CLOSE_MILLISECONDS: Final = 3_000
_LAST_WORD_SECONDS: Final = 1.0
# The conventions' boundaries end at 81.92 s, where an answer of a 70B model may only begin.
_SECONDS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    *(163.84, 327.68, 655.36),
)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

_Attributes = dict[str, str | int]


class OpenTelemetrySink:
    """Counts and measures the requests of one run, and sends that every 15 s.

    ``OTEL_METRIC_EXPORT_INTERVAL`` sets another interval; the exporter reads its other variables
    itself. No provider is made global, so that runs in one process do not see each other's.
    """

    def __init__(self, names: RunNames, log: Callable[[str], None]) -> None:
        self._complaints = _Complaints(log)
        self._progress: Callable[[], Progress] | None = None
        self._common: _Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": names.provider,
            "gen_ai.request.model": names.model,
        }
        self._complaints.begin()
        interval = None if os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") else _INTERVAL_MILLISECONDS
        running = set(threading.enumerate())
        self._reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=interval)
        self._threads = set(threading.enumerate()) - running
        provider = MeterProvider([self._reader], resource=_resource(names), shutdown_on_exit=False)
        meter = provider.get_meter(_SCOPE)
        self._requests = meter.create_counter(
            "preannotation.requests", "{request}", "Attempts, by what became of them."
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._queue = meter.create_histogram(
            "preannotation.requests.queue_time",
            "s",
            "The wait in the server's queue.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        meter.create_observable_up_down_counter(
            "preannotation.requests.in_flight",
            [lambda _: self._states(lambda state: state.in_flight)],
            "{request}",
            "Requests in flight.",
        )
        meter.create_observable_gauge(
            "preannotation.requests.limit",
            [lambda _: self._states(lambda state: state.limit)],
            "{request}",
            "Requests that may be in flight by now.",
        )

    def watch(self, progress: Callable[[], Progress]) -> None:
        """Asks ``progress`` for what is in flight, whenever the metrics are sent."""
        self._progress = progress

    def observe(self, endpoint: str, report: PermitReport) -> None:
        """Counts an attempt; callable from any thread, and done at once."""
        server = _server(endpoint)
        reason: _Attributes = {"preannotation.reason": report.reason} if report.reason else {}
        self._requests.add(1, {**server, "preannotation.outcome": report.outcome, **reason})
        common = {**self._common, **server}
        if report.latency_seconds is not None:
            error: _Attributes = {"error.type": report.reason} if report.reason else {}
            self._duration.record(report.latency_seconds, {**common, **error})
        for kind, tokens in (("input", report.prompt_tokens), ("output", report.answer_tokens)):
            if tokens is not None:
                self._usage.record(tokens, {**common, "gen_ai.token.type": kind})
        if report.queue_seconds is not None:
            self._queue.record(report.queue_seconds, server)

    def close(self) -> None:
        """Sends what there is and ends; takes 4 s at most."""
        self._reader.shutdown(timeout_millis=_CLOSE_MILLISECONDS)
        # An export that was given up complains once more.
        for thread in self._threads:
            thread.join(_LAST_WORD_SECONDS)
        self._progress = None
        self._complaints.end()

    def _states(self, value: Callable[[EndpointState], int]) -> Iterator[Observation]:
        if self._progress is not None:
            for endpoint, state in self._progress().endpoints.items():
                yield Observation(value(state), _server(endpoint))


class _Complaints(logging.Handler):
    """Turns all that the SDK logs into one line without its details, which name hosts and headers."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._logger = logging.getLogger("opentelemetry")
        self._propagated = True
        self._told = False

    def begin(self) -> None:
        self._propagated = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def end(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        if not self._told:
            self._told = True
            self._log("metrics cannot be exported: look at OTEL_EXPORTER_OTLP_ENDPOINT; the run goes on")


def _resource(names: RunNames) -> Resource:
    attributes = {"preannotation.dataset": names.dataset, "preannotation.run_id": names.run_id}
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create(attributes if named else {**attributes, "service.name": _SCOPE})


@lru_cache(maxsize=64)
def _server(endpoint: str) -> _Attributes:
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or endpoint, "server.port": port}
