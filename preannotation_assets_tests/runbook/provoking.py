"""How each case of docs/runbook.md comes about: by the command line, or by what raises or writes the line.

Each takes a scene and gives everything that was said. Those on Spark are apart.
"""

import errno
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from botocore.exceptions import ClientError
from canary.echo_server import Reply
from canary.echoing import echoing_proxy
from dagster import DagsterInstance, DagsterRunStatus, SkipReason, build_sensor_context
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test
from end_to_end.user_place import DATASET, REPORT, Place, make_place
from shared.published_dataset import RULES, Dataset, good_rows

from preannotation_assets import cli
from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.cli import dataset_run
from preannotation_assets.defs.resources.java import find_java_home
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.errors import PreannotationError
from preannotation_assets.extraction.empty_answers import answers_doubt
from preannotation_assets.instance import dataset_lock, ensure_dagster_home, interface_lock
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.lease import DatasetLease
from preannotation_assets.lake.local_errors import describe as describe_local
from preannotation_assets.lake.probes import probe_conditional_writes
from preannotation_assets.lake.s3_errors import describe as describe_s3
from preannotation_assets.manifests import Calibration, Comparison
from preannotation_assets.publishing.losses import require_rows_kept
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.recovery import prepare_instance
from preannotation_assets.settings.groups import WatchingSettings
from preannotation_assets.simulator import (
    AccessCredentials,
    Fault,
    FaultRule,
    RunningSimulator,
    SimulatorSettings,
)
from preannotation_assets.simulator.openai import OpenAiSettings, RunningOpenAiSimulator, ServedModel
from preannotation_assets.telemetry.forecast import Work
from preannotation_assets.telemetry.progress import describe_progress
from preannotation_assets.throttling.dispatcher import Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState
from preannotation_assets.warehouse import connecting
from preannotation_assets.watching.account import tell
from preannotation_assets.watching.watch import RetryPlan, State, Watch

__all__ = ["ON_SPARK", "PROVOKED", "Scene"]

MODEL = "llama3.3:70b"
S3_KEY = "s3://bucket/argilla/work/d/chunks/manifest.json"


@dataclass
class Scene:
    """A user's folder, and the means to spoil something there."""

    place: Place
    stack: ExitStack
    patch: pytest.MonkeyPatch
    said: Callable[[], str]

    def ollama(self, *faults: FaultRule, **changes: object) -> str:
        settings = SimulatorSettings(slots=4, faults=faults, **changes)  # type: ignore[arg-type]
        return self.stack.enter_context(RunningSimulator(settings)).url

    def openai(self, **changes: object) -> dict[str, str]:
        settings = OpenAiSettings(model=ServedModel((MODEL,)), **changes)  # type: ignore[arg-type]
        url = self.stack.enter_context(RunningOpenAiSimulator(settings)).url
        return {"PREANNOTATION_SERVER": "openai", "PREANNOTATION_SERVER_URLS": url}

    def command(self, *arguments: str, **environment: str) -> str:
        """What a command says on both channels."""
        self.patch.chdir(self.place.folder)
        for name, value in {**self.place.environment, **environment}.items():
            self.patch.setenv(name, value)
        cli.main(list(arguments))
        return self.said()

    def attempt(self, **environment: str) -> str:
        """What `preannotate try` says."""
        return self.command("try", DATASET, "--pages", "1", **environment)


def told(work: Callable[[], object]) -> str:
    """The line of the error that the work ends with."""
    with pytest.raises(PreannotationError) as raised:
        work()
    return str(raised.value)


def enter(context: contextmanager) -> None:  # type: ignore[valid-type]
    with context:
        pass


def progress_line(in_flight: int, limit: int, wished_wait: float = 0.0) -> str:
    state = EndpointState(in_flight, in_flight, limit, limit, 0, wished_wait)
    progress = Progress(1.0, 0, 0, 0, {}, {"http://gpu-1:11434": state}, {})
    return describe_progress(progress, Work(9, 900), None)


def locked_database(scene: Scene) -> str:
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(scene.place.database)]
    scene.patch.setattr(connecting, "_LOCK_WAIT_SECONDS", 0.0)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "locked\n"
        try:
            return scene.attempt()
        finally:
            writer.kill()


def changed_view(scene: Scene, statement: str) -> str:
    with duckdb.connect(str(scene.place.database)) as connection:
        connection.execute(statement)
    return scene.attempt()


def sensor(scene: Scene) -> str:
    """What a tick says of the dataset, the first time that it is seen."""
    warehouse, storage = (
        WarehouseResource(database=str(scene.place.database)),
        StorageResource(root=str(scene.place.lake)),
    )
    with DagsterInstance.ephemeral() as instance:
        context = build_sensor_context(instance, resources={"warehouse": warehouse, "storage": storage})
        result = build_sensor(WatchingSettings())(context)
    assert isinstance(result, SkipReason)
    return str(result.skip_message)


def given_up() -> str:
    plan = RetryPlan()
    watch = Watch("a", 0.0, attempts=plan.most_attempts)
    return tell({DATASET: watch}, {DATASET: State.GIVEN_UP}, plan)


class WithoutConditions:
    """A store that writes whatever the condition is."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def upload_if(self, key: str, path: Path, expected: str | None) -> str:
        return self._store.upload(key, path)


def without_conditions(scene: Scene) -> str:
    store: Any = WithoutConditions(open_store(StoreLocation(str(scene.place.lake))))
    return told(lambda: probe_conditional_writes(store, "s3://bucket/prefix"))


def unclosed_database(scene: Scene) -> str:
    """A writer ends before it has put its log into the file, and the log has to build an index."""
    statements = [
        "PRAGMA disable_checkpoint_on_shutdown",
        "SET checkpoint_threshold = '1TB'",
        "INSERT INTO p SELECT 'other/' || i, 1, 'a', '0' FROM range(100000) r(i)",
        "CHECKPOINT",
        "CREATE INDEX by_document ON p(doc_id)",
        "INSERT INTO p VALUES ('other', 1, 'a', '0')",
    ]
    code = (
        "import duckdb, os, sys; connection = duckdb.connect(sys.argv[1]);"
        "[connection.execute(statement) for statement in sys.argv[2:]]; os._exit(0)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(scene.place.database), *statements], timeout=60, check=True
    )
    return scene.attempt()


def s3_refusal(code: str, status: int) -> str:
    reply = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return str(describe_s3(S3_KEY, ClientError(reply, "PutObject")))  # type: ignore[arg-type]


def held_lease(scene: Scene) -> str:
    store = open_store(StoreLocation(str(scene.place.lake)))

    def lease(run: str) -> DatasetLease:
        return DatasetLease(store, "argilla/work/d/lease.json", run, lambda _: None, lifetime_seconds=1.0)

    with lease("run-1"):
        return told(lambda: enter(lease("run-2")))


def lost_lease(scene: Scene) -> str:
    store = open_store(StoreLocation(str(scene.place.lake)))
    lost: list[str] = []
    with DatasetLease(store, "lease.json", "run-1", lost.append, lifetime_seconds=0.5) as lease:
        store.write("lease.json", b'{"run_id": "run-2", "held": true}')
        lease._renewer.join(30)
    return "\n".join(lost)


def damaged(scene: Scene, key: str, read: Callable[..., object]) -> str:
    store = open_store(StoreLocation(str(scene.place.lake)))
    store.write(key, b"PAR1 what a disk made of it")
    return told(lambda: read(store))


def published(scene: Scene, spoil: Callable[[Dataset], object]) -> str:
    dataset = Dataset(scene.place.lake)
    return told(lambda: spoil(dataset))


def refused_rows(dataset: Dataset) -> None:
    rows = good_rows()
    rows[0]["start"] += 1
    dataset.publish(rows)


def published_meanwhile(dataset: Dataset) -> None:
    """Another run publishes between this one's Parquet and its manifest."""
    upload_if = dataset.plain_store.upload_if

    def upload(key: str, path: Path, expected: str | None) -> str:
        etag = upload_if(key, path, expected)
        dataset.parquet.write_bytes(b"another")
        return etag

    dataset.store.upload_if = upload  # type: ignore[method-assign]
    dataset.publish(good_rows())


def written_meanwhile(dataset: Dataset) -> None:
    """Another run publishes between this one's look at what is there and its Parquet."""
    dataset.publish(good_rows())
    dataset.store.before_write = lambda key: dataset.parquet.write_bytes(b"another")
    dataset.publish(good_rows()[:2])


def verified_after(change: Callable[[Path], object]) -> Callable[[Dataset], None]:
    def spoil(dataset: Dataset) -> None:
        dataset.publish(good_rows())
        change(dataset.parquet)
        verify_dataset(dataset.plain_store, dataset.layout.dataset, RULES)

    return spoil


def dead_run(scene: Scene, tags: dict[str, str]) -> str:
    home = scene.place.folder / "home"
    home.mkdir()
    with DagsterInstance.local_temp(str(home)) as instance:
        run = create_run_for_test(instance, status=DagsterRunStatus.STARTED, tags=tags)
        if tags:
            prepare_instance(instance)
            return scene.said()
        dataset_run._end_dead_run(instance, run.run_id)
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        return "\n".join(str(event.message) for event in events)


def interrupted(scene: Scene) -> str:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    scene.patch.setattr(dataset_run, "run_dataset", interrupt)
    return scene.command("run", DATASET)


def with_two_servers(scene: Scene) -> str:
    changed = scene.stack.enter_context(
        RunningSimulator(SimulatorSettings(faults=(FaultRule(Fault.DIGEST_CHANGE, requests=(1,)),)))
    )
    scene.attempt(OLLAMA_HOST=changed.url)
    both = f"{changed.url},{scene.place.environment['OLLAMA_HOST']}"
    return scene.attempt(OLLAMA_HOST="", PREANNOTATION_OLLAMA_ENDPOINTS=both)


def label_mistake(scene: Scene) -> str:
    (scene.place.folder / "labels.yaml").write_text("name: a\nversion: 1\nlabels: []\n")
    return scene.command("labels", "check", "labels.yaml")


def dataset_in_work(scene: Scene) -> str:
    with dataset_lock(scene.place.folder, DATASET, "run-1"):
        return told(lambda: enter(dataset_lock(scene.place.folder, DATASET, "run-2")))


def dagster_twice(scene: Scene) -> str:
    with interface_lock(scene.place.folder):
        return told(lambda: enter(interface_lock(scene.place.folder)))


def without_java(scene: Scene) -> str:
    scene.patch.setattr("importlib.util.find_spec", lambda name: None)
    return told(lambda: find_java_home({"PATH": str(scene.place.folder)}))


PROVOKED: dict[str, Callable[[Scene], str]] = {
    "server unreachable": lambda scene: scene.attempt(OLLAMA_HOST="http://127.0.0.1:1"),
    "wrong model": lambda scene: scene.attempt(PREANNOTATION_MODEL="none:1b"),
    "wrong model, OpenAI-compatible": lambda scene: scene.attempt(
        PREANNOTATION_MODEL="none", **scene.openai()),
    "cloud model": lambda scene: scene.attempt(PREANNOTATION_MODEL="gpt-oss:120b-cloud"),
    "old Ollama": lambda scene: scene.attempt(OLLAMA_HOST=scene.ollama(version="0.9.0")),
    "login page": lambda scene: scene.attempt(OLLAMA_HOST=scene.ollama(access=AccessCredentials("a", "b"))),
    "key wanted": lambda scene: scene.attempt(**scene.openai(api_key="hunter2")),
    "servers differ": with_two_servers,
    "model does not load": lambda scene: scene.attempt(
        OLLAMA_HOST=scene.ollama(FaultRule(Fault.LOAD_FAILURE, probability=1)),
        PREANNOTATION_ATTEMPTS="2", PREANNOTATION_FIRST_BACKOFF="0.01",
    ),
    "context too small for the settings": lambda scene: scene.attempt(PREANNOTATION_NUM_CTX="4096"),
    "context smaller at the server": lambda scene: scene.attempt(**scene.openai(window=4096)),
    "schema not kept": lambda scene: scene.attempt(**scene.openai(fixed_answer="It is blue.")),
    "Retry-After of an hour": lambda scene: progress_line(0, 4, 3600),
    "overloaded": lambda scene: scene.attempt(
        OLLAMA_HOST=scene.ollama(FaultRule(Fault.RATE_LIMIT_SECONDS, probability=1, seconds=3600))
    ),
    "all empty, while it runs": lambda scene: str(answers_doubt(95, 100)),
    "GPU idle": lambda scene: progress_line(1, 1),
    "nothing in flight": lambda scene: progress_line(0, 4),
    "no database file": lambda scene: scene.attempt(PREANNOTATION_DATABASE="none.duckdb"),
    "database locked": locked_database,
    "no view": lambda scene: changed_view(scene, "DROP VIEW vw_argilla_pages"),
    "no such dataset": lambda scene: scene.command("try", "vessels_ocr_8"),
    "page cannot be read": lambda scene: changed_view(
        scene,
        "CREATE OR REPLACE VIEW vw_argilla_pages AS "
        "SELECT doc_id, page_num, text::INTEGER::VARCHAR AS text, text_sha256 FROM p",
    ),
    "no token": lambda scene: scene.attempt(PREANNOTATION_DATABASE="md:"),
    "database was not closed": unclosed_database,
    "sensor finds nothing": lambda scene: tell({}, {}, RetryPlan()),
    "sensor does not fire yet": sensor,
    "sensor fires no more": lambda scene: given_up(),
    "disk full": lambda scene: str(describe_local("/lake/a", OSError(errno.ENOSPC, "full"))),
    "no right to write": lambda scene: str(describe_local("/lake/a", OSError(errno.EACCES, "no"))),
    "S3 out of reach": lambda scene: scene.command(
        "run", DATASET, PREANNOTATION_ROOT="s3://bucket/x", AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_REGION="us-east-1",
    ),
    "no bucket": lambda scene: s3_refusal("NoSuchBucket", 404),
    "S3 without conditions": without_conditions,
    "wrong secret": lambda scene: s3_refusal("SignatureDoesNotMatch", 403),
    "clock": lambda scene: s3_refusal("RequestTimeTooSkewed", 403),
    "lease held": held_lease,
    "lease lost": lost_lease,
    "answers damaged": lambda scene: damaged(
        scene, "answers/run/a.parquet", lambda store: AnswerIndex.read(store, "answers")
    ),
    "manifest damaged": lambda scene: damaged(
        scene, "manifest.json", lambda store: read_manifest(store, "manifest.json", Calibration)
    ),
    "dataset is in work": dataset_in_work,
    "run was interrupted": interrupted,
    "run was killed": lambda scene: dead_run(scene, {}),
    "Dagster says running, but it is dead": lambda scene: dead_run(scene, {GRPC_INFO_TAG: "{}"}),
    "Dagster runs twice": dagster_twice,
    "DAGSTER_HOME": lambda scene: told(
        lambda: ensure_dagster_home({"DAGSTER_HOME": "/dev/null/x"}, scene.place.folder)
    ),
    "no Java": without_java,
    "publication refused": lambda scene: published(scene, refused_rows),
    "rows were dropped": lambda scene: told(
        lambda: require_rows_kept(
            DATASET,
            Comparison(pages=9, rows_before=90, rows=3, pages_emptied=8, pages_failed=0),
            most_lost=0.5,
        )
    ),
    "published by somebody else": lambda scene: published(scene, published_meanwhile),
    "written by somebody else": lambda scene: published(scene, written_meanwhile),
    "published file was replaced": lambda scene: published(
        scene, verified_after(lambda path: path.write_bytes(b"another"))
    ),
    "published file is gone": lambda scene: published(scene, verified_after(Path.unlink)),
    "nothing to verify": lambda scene: scene.command("verify", DATASET),
    "misspelt variable": lambda scene: scene.attempt(PREANNOTATION_MODELL="x"),
    "malformed value": lambda scene: scene.attempt(PREANNOTATION_NUM_CTX="many"),
    "label scheme": label_mistake,
}  # fmt: skip


def run_over(scene: Scene, url: str) -> str:
    """A run of 25 short pages, one at a time."""
    pages = {f"page {number}": f"{number} {REPORT}" for number in range(25)}
    scene.place = make_place(scene.place.folder / "long", pages, url)
    return scene.command(
        "run", DATASET, PREANNOTATION_MAX_IN_FLIGHT="1", PREANNOTATION_FIRST_BACKOFF="0.01",
        PREANNOTATION_STREAM="always",
    )  # fmt: skip


def changed_model(scene: Scene) -> str:
    return run_over(scene, scene.ollama(FaultRule(Fault.DIGEST_CHANGE, requests=(3,))))


def failing_answers(scene: Scene) -> str:
    return run_over(scene, scene.ollama(FaultRule(Fault.EMPTY_ANSWER, probability=1)))


def faulty_pages(scene: Scene) -> str:
    """A firewall refuses one page, some are answered without an end; all others have nothing."""
    url = scene.ollama(
        FaultRule(Fault.EQUAL_TOKENS, requests=(1,), burst=8), FaultRule(Fault.EMPTY_LIST, probability=1)
    )

    def firewall(path: str, sent: str, is_about_a_page: bool) -> Reply | None:
        is_refused = is_about_a_page and sent.startswith("12 M/V")
        return Reply(403, b"<html>blocked</html>", "text/html") if is_refused else None

    return run_over(scene, scene.stack.enter_context(echoing_proxy(url, firewall)))


ON_SPARK: dict[Callable[[Scene], str], tuple[str, ...]] = {
    changed_model: ("model changed",),
    failing_answers: ("too many failures",),
    faulty_pages: ("endless answers", "one page is refused", "all empty, when it is over"),
}
"""Runs, and the cases that each of them provokes."""
