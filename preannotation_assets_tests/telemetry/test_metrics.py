"""Metrics as a collector receives them; and no trace of OpenTelemetry where nobody collects."""

import gzip
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from shared.http_servers import QuietHandler, serving
from shared.polling import wait_for

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.telemetry.metrics import exported_metrics, metrics_wanted, watched
from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_messages import PermitReport

NAMES = RunNames("vessels_ocr_7", "run-1", "llama3.3:70b", "ollama")
REPORT = PermitReport(
    AttemptOutcome.ANSWERED,
    available=True,
    latency_seconds=2.5,
    queue_seconds=0.5,
    prompt_tokens=700,
    answer_tokens=90,
)
URL = "http://gpu-1:11434"
DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboard.json"


@dataclass
class Collector:
    """Speaks OTLP over HTTP; keeps what it was sent."""

    url: str = ""
    requests: list[ExportMetricsServiceRequest] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)

    def points(self) -> dict[str, list[tuple[dict[str, object], Any]]]:
        """Of the last request: attributes and data point by metric."""
        found: dict[str, list[tuple[dict[str, object], Any]]] = {}
        for resource in self.requests[-1].resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    found.setdefault(metric.name, []).append((_plain(point.attributes), point))
        return found

    def resource(self) -> dict[str, object]:
        return _plain(self.requests[-1].resource_metrics[0].resource.attributes)


def _plain(attributes: Any) -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@pytest.fixture
def start_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Collector]]:
    """Starts collectors and points OpenTelemetry's variable at the last one."""
    for name in (
        "OTEL_SDK_DISABLED",
        "OTEL_METRICS_EXPORTER",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:

        def start(*, hanging: bool = False) -> Collector:
            collector = Collector()

            class Handler(QuietHandler):
                def answer(self) -> None:
                    content = self.taken()
                    if hanging:
                        collector.hang.wait(60)
                        return
                    if self.headers.get("content-encoding") == "gzip":
                        content = gzip.decompress(content)
                    assert self.path == "/v1/metrics"
                    collector.requests.append(ExportMetricsServiceRequest.FromString(content))
                    self.reply(200, "application/x-protobuf", b"")

            collector.url = stack.enter_context(serving(Handler))
            stack.callback(collector.hang.set)
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            return collector

        yield start


def test_a_run_is_told_to_the_collector(
    start_collector: Callable[..., Collector], simulator: Any, new_run: Any
) -> None:
    collector = start_collector()
    said: list[str] = []
    server = simulator(
        faults=(FaultRule(Fault.BUSY, requests=(2,)), FaultRule(Fault.EMPTY_ANSWER, requests=(5,)))
    )
    run = new_run(server, policy=RetryPolicy(first_backoff=0.01), limits=Limits(3, linger_seconds=0.05))
    with exported_metrics(os.environ, NAMES, said.append) as metrics:
        run.observers = (metrics.observe,)
        run.ask([f"Log {number}: MV OCEAN STAR left Rotterdam." for number in range(12)])
        metrics.watch(lambda: run.progress)
    assert said == []
    points = collector.points()
    requests = {
        (attributes["preannotation.outcome"], attributes.get("preannotation.reason")): point.as_int
        for attributes, point in points["preannotation.requests"]
    }
    assert requests == {("answered", None): 12, ("again", "overloaded"): 1, ("again", "empty_answer"): 1}
    tokens = {
        attributes["gen_ai.token.type"]: point.sum
        for attributes, point in points["gen_ai.client.token.usage"]
    }
    # The empty answer was read for and paid, too.
    assert tokens == {"input": run.progress.prompt_tokens, "output": run.progress.answer_tokens}
    durations = points["gen_ai.client.operation.duration"]
    assert sum(point.count for _, point in durations) == 14
    assert {attributes.get("error.type") for attributes, _ in durations} == {
        None,
        "overloaded",
        "empty_answer",
    }
    attributes, _ = durations[0]
    assert attributes["gen_ai.request.model"] == "llama3.3:70b"
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.provider.name"]) == ("chat", "ollama")
    assert f"http://{attributes['server.address']}:{attributes['server.port']}" == server.url
    assert sum(point.count for _, point in points["preannotation.requests.queue_time"]) == 13
    assert [point.as_int for _, point in points["preannotation.requests.in_flight"]] == [0]
    assert next(point.as_int for _, point in points["preannotation.requests.limit"]) in {1, 2, 3}
    assert collector.resource()["service.name"] == "preannotation_assets"
    assert collector.resource()["preannotation.dataset"] == "vessels_ocr_7"
    assert b"OCEAN STAR" not in collector.requests[-1].SerializeToString()


def prometheus_names(collector: Collector) -> tuple[set[str], set[str]]:
    """What Prometheus gets: metrics and attributes by OpenTelemetry's compatibility rules."""
    names, labels = set(), set(collector.resource())
    for metric in (
        metric
        for resource in collector.requests[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ):
        kind = metric.WhichOneof("data")
        name = metric.name + {"s": "_seconds"}.get(metric.unit, "")
        is_counter = kind == "sum" and metric.sum.is_monotonic
        endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("_total" if is_counter else "",)
        names |= {f"{name}{ending}" for ending in endings}
        labels |= {key for point in getattr(metric, kind).data_points for key in _plain(point.attributes)}
    return {name.replace(".", "_") for name in names}, {label.replace(".", "_") for label in labels}


def test_the_dashboard_shows_what_is_sent_and_all_of_it(start_collector: Callable[..., Collector]) -> None:
    collector = start_collector()
    progress = SimpleNamespace(endpoints={URL: SimpleNamespace(in_flight=1, limit=4)})
    failed = PermitReport(AttemptOutcome.AGAIN, available=False, reason="overloaded", latency_seconds=1.0)
    with exported_metrics(os.environ, NAMES, pytest.fail) as metrics:
        metrics.observe(URL, REPORT)
        metrics.observe(URL, failed)
        metrics.watch(lambda: progress)  # type: ignore[arg-type,return-value]
    names, labels = prometheus_names(collector)
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked += " ".join(variable.get("definition", "") for variable in dashboard["templating"]["list"])
    shown = set(re.findall(r"\b(?:preannotation|gen_ai)_\w+(?=[{,])", asked)) - labels
    assert shown <= names
    # Of every metric something is shown.
    assert {name for name in names if not name.endswith(("_bucket", "_sum", "_count"))} <= shown
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in names} == {
        re.sub("_(bucket|sum|count)$", "", name) for name in shown
    }
    used = set(re.findall(r"(\w+)(?:=~|!=|=)\"", asked))
    used |= {word for group in re.findall(r"by \(([^)]*)\)", asked) for word in group.split(", ")}
    assert used <= labels | {"le"}


def test_the_users_own_names_stay(
    start_collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = start_collector()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "night shift")
    with exported_metrics(os.environ, NAMES, pytest.fail) as metrics:
        metrics.observe(URL, REPORT)
    assert collector.resource()["service.name"] == "night shift"
    assert collector.resource()["preannotation.run_id"] == "run-1"


def test_what_is_in_flight_is_sent_while_the_run_goes_on(
    start_collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch, simulator: Any, new_run: Any
) -> None:
    collector = start_collector()
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    run = new_run(simulator())
    run.ask(["MV STAR"])
    progress = run.progress
    with exported_metrics(os.environ, NAMES, pytest.fail) as metrics, watched(metrics, lambda: progress):
        wait_for(lambda: collector.requests)
    assert "preannotation.requests.limit" in collector.points()


@pytest.mark.parametrize("kind", ["refused", "hanging"])
def test_a_collector_that_is_out_of_reach_costs_a_line_and_seconds(
    start_collector: Callable[..., Collector],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    start_collector(hanging=kind == "hanging")
    if kind == "refused":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/secret-path")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    said: list[str] = []
    with exported_metrics(os.environ, NAMES, said.append) as metrics:
        for _ in range(1000):
            metrics.observe(URL, REPORT)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert len(said) <= 1
    assert kind == "hanging" or "cannot be exported" in said[0]
    assert "secret-path" not in "".join(said)
    assert caplog.records == []
    assert "".join(capfd.readouterr()) == ""
    assert logging.getLogger("opentelemetry").propagate


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": URL}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_SDK_DISABLED": "false"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_METRICS_EXPORTER": "console,otlp"}, True),
    ],
)
def test_opentelemetrys_own_variables_decide(environment: dict[str, str], wanted: bool) -> None:
    assert metrics_wanted(environment) is wanted


def test_nothing_is_imported_or_started_where_nobody_collects() -> None:
    code = """
import sys, threading
from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.telemetry.metrics import exported_metrics
from preannotation_assets.telemetry.run_names import RunNames
from preannotation_assets.throttling.permit_messages import PermitReport
with exported_metrics({}, RunNames("d", "r", "m", "p"), print) as metrics:
    metrics.observe("http://x", PermitReport(AttemptOutcome.ANSWERED, available=True))
    print(sorted(name for name in sys.modules if name.startswith("opentelemetry.")), threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[] 1\n"
