"""What docs/interface.md gives to paste: it is accepted, and it does what the page says."""

import re
import smtplib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest
import yaml
from dagster import (
    DagsterInstance,
    Definitions,
    RunFailureSensorContext,
    build_run_status_sensor_context,
    in_process_executor,
    job,
    op,
    validate_run_config,
)

from preannotation_assets.definitions import build_definitions
from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "interface.md"
MARKER = "QUARTZWICK"
RUN_URL = "http://dagster.example/runs/"


def pasted(language: str, words: str) -> str:
    """The one block in that language with these words in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if words in block)
    return str(found)


def test_the_launchpad_takes_the_configuration_on_the_page() -> None:
    definitions = build_definitions(Settings.from_environment({}))
    with DagsterInstance.ephemeral():
        job_def = definitions.resolve_job_def(preannotate.name)
    config = yaml.safe_load(pasted("yaml", "doc_ids"))
    resolved = validate_run_config(job_def, config)
    assert resolved["resources"]["model_server"]["config"]["model"] == "llama3.3:70b"
    assert resolved["ops"]["pages"]["config"]["doc_ids"] == ["vessels_ocr_1/registry"]


class _Webhook(BaseHTTPRequestHandler):
    """Takes what is posted, as Slack does."""

    received: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def webhook() -> Iterator[str]:
    _Webhook.received.clear()
    with HTTPServer(("127.0.0.1", 0), _Webhook) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/services/T0/B0/x"
        server.shutdown()
        thread.join()


class _Mail:
    """Takes what is sent, as a mail server does."""

    sent: ClassVar[list[str]] = []

    def __init__(self, host: str, port: int, **_: object) -> None:
        self.address = host, port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def login(self, user: str, password: str) -> None:
        assert (user, password) == ("dagster@example.org", "a password")

    def sendmail(self, _: str, to: list[str], message: str) -> None:
        assert to == ["data-team@example.org"]
        self.sent.append(message)


@pytest.fixture
def notifications(webhook: str, monkeypatch: pytest.MonkeyPatch) -> Definitions:
    """What the block on the page defines."""
    _Mail.sent.clear()
    monkeypatch.setattr(smtplib, "SMTP_SSL", _Mail)
    for name, value in {
        "DAGSTER_URL": RUN_URL.removesuffix("/runs/"),
        "SLACK_WEBHOOK_URL": webhook,
        "SMTP_PASSWORD": "a password",
    }.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {"__name__": "failure_notifications"}
    exec(compile(pasted("python", "run_failure_sensor"), str(PAGE), "exec"), names)
    defs = names["defs"]
    assert isinstance(defs, Definitions)
    return defs


def failed_run(instance: DagsterInstance) -> RunFailureSensorContext:
    @op
    def suggestions() -> None:
        raise ValueError(f"a library quotes the page: {MARKER}")

    @job(executor_def=in_process_executor, tags={"dagster/partition": "vessels_ocr_1"})
    def preannotate() -> None:
        suggestions()

    result = preannotate.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_job_failure]
    context = build_run_status_sensor_context(
        "any", failure, instance, instance.get_run_by_id(result.run_id) or result.dagster_run
    )
    return context.for_run_failure()


def test_a_failed_run_is_told_to_slack_and_by_email_without_what_a_page_says(
    notifications: Definitions,
) -> None:
    sensors = {sensor.name: sensor for sensor in notifications.sensors or ()}
    assert sensors.keys() == {"failure_to_slack", "failure_by_email"}
    with DagsterInstance.ephemeral() as instance:
        context = failed_run(instance)
        for sensor in sensors.values():
            sensor(context)
        run_id = context.dagster_run.run_id
    told = f"preannotate of vessels_ocr_1 failed in suggestions: {RUN_URL}{run_id}"
    assert told in _Webhook.received[0]
    assert told in _Mail.sent[0]
    assert all(MARKER not in message for message in [*_Webhook.received, *_Mail.sent])


def test_the_notifications_are_of_all_code_locations_and_on(notifications: Definitions) -> None:
    sensors = notifications.get_repository_def().sensor_defs
    assert len(sensors) == 2
    for sensor in sensors:
        assert sensor.default_status.value == "RUNNING"


def test_its_pictures_are_there_and_small() -> None:
    names = re.findall(r"\]\((images/[\w-]+\.png)\)", PAGE.read_text("utf-8"))
    assert names == ["images/asset-graph.png", "images/checks.png"]
    for name in names:
        picture = (PAGE.parent / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 200_000
