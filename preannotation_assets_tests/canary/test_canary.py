"""No page text and no secret is left anywhere but in the lake, whatever goes wrong and whoever echoes.

One process does everything that a user may do, over servers with every fault there is and over servers that
repeat what they were sent. Then all that was left behind is searched. ``test_searching.py`` shows that the
search finds what it looks for.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import httpx
import pytest

from canary import commands
from canary.echoing import (
    FATAL_REPLIES,
    REPLIES,
    MakeReply,
    Reply,
    Spoil,
    collector,
    count_strings,
    echoing_proxy,
    echoing_store,
    for_pages,
    for_path,
    with_echo_in,
)
from canary.markers import PAGE_MARKERS, PLAIN, SECRET_MARKERS, SECRETS, page_text
from canary.searching import Search
from preannotation_assets import cli
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)
from preannotation_assets.simulator.openai import Flavour, OpenAiSettings, RunningOpenAiSimulator, ServedModel

MODEL: Final = "llama3.3:70b"
# After these no request can succeed, so each has a server of its own.
FATAL_FAULTS: Final = (Fault.DIGEST_CHANGE, Fault.LOGIN_REDIRECT, Fault.LOGIN_PAGE, Fault.FORBIDDEN_PAGE)
FAULTS: Final = tuple(
    FaultRule(fault, requests=(2 + 2 * place,))
    for place, fault in enumerate(sorted(set(Fault) - set(FATAL_FAULTS)))
)
# What is asked before any page is: there the secrets could be repeated.
PREFLIGHT: Final = {
    "ollama": ("/api/version", "/api/tags", "/api/ps"),
    "openai": ("/v1/models", "/v1/chat/completions"),
}
PAGES: Final = {
    "vessels_ocr_1": 24,
    "vessels_ocr_2": 24,
    "vessels_ocr_3": 30,
    "vessels_ocr_4": 30,
    "vessels_ocr_5": 3,
}
SCHEME: Final = """
name: canary
version: 1
labels:
  - name: vessel_name
    definition: A ship.
examples:
  - text: {word}
    spans:
      - vessel_name: {word}X
"""


@dataclass
class Canary:
    """A user's folder, what is to be done there in order, and what came of it."""

    folder: Path
    steps: list[dict[str, object]] = field(default_factory=list)
    metrics: Sequence[bytes] = ()

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def left_behind(self) -> Path:
        """Everything that a run leaves outside of the lake."""
        return self.folder / "left behind"

    def add(self, name: str, *does: str, environment: Mapping[str, str]) -> None:
        output = self.left_behind / "output" / f"{len(self.steps):02} {name}.txt"
        self.steps.append({"does": does, "environment": dict(environment), "output": str(output)})

    def status(self, name: str) -> int:
        (file,) = self.left_behind.glob(f"output/* {name}.status")
        return int(file.read_text())

    def output(self, name: str) -> Path:
        (file,) = self.left_behind.glob(f"output/* {name}.txt")
        return file


def write_warehouse(path: Path, columns: str) -> None:
    rows = [
        (f"{dataset}/{number}", 1, page_text(number + 1000 * place))
        for place, (dataset, pages) in enumerate(PAGES.items())
        for number in range(pages)
    ]
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num BIGINT, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute(f"CREATE VIEW vw_argilla_pages AS SELECT {columns} FROM p")
        hashed = [(*row, hashlib.sha256(row[2].encode()).hexdigest()) for row in rows]
        connection.executemany("INSERT INTO p VALUES (?, ?, ?, ?)", hashed)


def environment_of(folder: Path, left_behind: Path, metrics: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "JAVA_HOME") if name in os.environ}
    spark = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": (left_behind / "spark").as_uri()}
    return {
        **inherited,
        **SECRETS,
        "PYTHONPATH": os.pathsep.join([str(Path(cli.__file__).parents[2]), str(Path(__file__).parents[1])]),
        "HOME": str(left_behind / "home"),
        "TMPDIR": str(left_behind / "tmp"),
        "DAGSTER_HOME": str(left_behind / "dagster"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": metrics,
        "AWS_REGION": "us-east-1",
        "PREANNOTATION_DATABASE": str(folder / "warehouse.duckdb"),
        "PREANNOTATION_ROOT": str(folder / "lake"),
        "PREANNOTATION_MODEL": MODEL,
        "PREANNOTATION_SPARK_MASTER": "local[2]",
        "PREANNOTATION_SPARK_CONFIG": json.dumps(spark),
        "PREANNOTATION_MAX_IN_FLIGHT": "4",
        "PREANNOTATION_NUM_PREDICT": "400",
        "PREANNOTATION_FIRST_BACKOFF": "0.01",
        "PREANNOTATION_MAX_FAILURE_RATE": "1",
    }


def at(kind: str, url: str) -> dict[str, str]:
    """The settings for a server of that kind."""
    variable = {"ollama": "PREANNOTATION_OLLAMA_ENDPOINTS", "openai": "PREANNOTATION_SERVER_URLS"}[kind]
    return {"PREANNOTATION_SERVER": kind, variable: url}


def spoilt_replies(kind: str, url: str) -> Iterator[tuple[str, str, MakeReply]]:
    """Good replies to what is asked first, each with what was sent in the place of one of its strings."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "max_tokens": 2}
    headers = {"Authorization": f"Bearer {SECRETS['PREANNOTATION_SERVER_API_KEY']}"}
    for path in PREFLIGHT[kind]:
        body = asked if path.endswith("completions") else None
        good = httpx.request("POST" if body else "GET", f"{url}{path}", json=body, headers=headers).json()
        for number in range(count_strings(good)):
            reply = partial(_with_echo, good, number)
            yield path, f"{path.replace('/', ' ')} {number}", reply


def _with_echo(good: object, number: int, sent: str) -> Reply:
    return Reply(200, json.dumps(with_echo_in(good, number, sent)).encode())


def plan(canary: Canary, stack: ExitStack) -> None:
    """Everything that is done, in order."""

    def ollama(*faults: FaultRule) -> str:
        models = (SimulatedModel(MODEL),)
        return stack.enter_context(
            RunningSimulator(SimulatorSettings(models=models, slots=4, faults=faults))
        ).url

    def openai(*faults: FaultRule, flavour: Flavour = Flavour.VLLM) -> str:
        settings = OpenAiSettings(
            flavour=flavour, model=ServedModel((MODEL,)), faults=faults, restart_seconds=0.05,
            api_key=SECRETS["PREANNOTATION_SERVER_API_KEY"],
        )  # fmt: skip
        return stack.enter_context(RunningOpenAiSimulator(settings)).url

    def echoing(target: str, spoil: Spoil) -> str:
        return stack.enter_context(echoing_proxy(target, spoil))

    start = {"ollama": ollama, "openai": openai}
    good = {"ollama": ollama(), "openai": openai()}
    bearable = for_pages(list(REPLIES.values()), every=2)
    # Answers where a page's second or third attempt has one, so that something is published, too.
    runs = {
        "vessels_ocr_1": at("ollama", ollama(*FAULTS)),
        "vessels_ocr_2": at("openai", openai(*FAULTS)),
        "vessels_ocr_3": at("ollama", echoing(good["ollama"], bearable)),
        "vessels_ocr_4": at("openai", echoing(good["openai"], bearable)),
    }
    for dataset, servers in runs.items():
        canary.add(f"run {dataset}", "run", dataset, environment=servers)
    published = canary.lake / "argilla" / "in" / "vessels_ocr_1" / "suggestions" / "suggestions.parquet"
    plain = at("ollama", good["ollama"])
    for name in ("verify", "preview"):
        canary.add(name, name, "vessels_ocr_1", environment=plain)
    canary.add("damage", "damage", str(published), environment=plain)
    canary.add("verify damaged", "verify", "vessels_ocr_1", environment=plain)
    canary.add("checks", "checks", "vessels_ocr_1", environment=plain)
    canary.add("sensor", "sensor", environment=plain)
    canary.add("try", "try", "vessels_ocr_1", "--pages", "2", environment=plain)
    both = ["--server", "ollama", good["ollama"], MODEL, "--server", "openai", good["openai"], MODEL]
    canary.add("compare", "compare-servers", "vessels_ocr_1", "--pages", "2", *both, environment=plain)
    (canary.folder / "labels.yaml").write_text(SCHEME.format(word=PLAIN.word))
    canary.add("labels", "labels", "check", str(canary.folder / "labels.yaml"), environment=plain)
    for kind, target in good.items():
        for fault in FATAL_FAULTS:
            faulty = start[kind](FaultRule(fault, probability=1))
            canary.add(f"try {fault} {kind}", "try", "vessels_ocr_5", environment=at(kind, faulty))
        for name, reply in (REPLIES | FATAL_REPLIES).items():
            server = at(kind, echoing(target, for_pages([reply])))
            canary.add(f"try {name} {kind}", "try", "vessels_ocr_5", "--pages", "1", environment=server)
            preflight = at(kind, echoing(target, for_path(PREFLIGHT[kind][0], reply)))
            canary.add(f"preflight {name} {kind}", "try", "vessels_ocr_5", environment=preflight)
        for path, name, reply in spoilt_replies(kind, target):
            preflight = at(kind, echoing(target, for_path(path, reply)))
            canary.add(f"preflight {name} {kind}", "try", "vessels_ocr_5", environment=preflight)
        fatal = echoing(target, for_pages([FATAL_REPLIES["forbidden page"]], every=2))
        canary.add(f"run forbidden {kind}", "run", "vessels_ocr_5", environment=at(kind, fatal))
    for name, column in {
        "cast": "CAST(text AS INTEGER)::VARCHAR",
        "error": "error('at ' || text)::VARCHAR",
    }.items():
        database = canary.folder / f"{name}.duckdb"
        write_warehouse(database, f"doc_id, page_num, {column} AS text, text_sha256")
        broken = {**plain, "PREANNOTATION_DATABASE": str(database)}
        canary.add(f"run {name}", "run", "vessels_ocr_5", environment=broken)
        canary.add(f"sensor {name}", "sensor", environment=broken)
        canary.add(f"try {name}", "try", "vessels_ocr_5", environment=broken)
    restored = {"PREANNOTATION_DATABASE": str(canary.folder / "warehouse.duckdb")}
    for refused in ("_probes", "pages", "raw_model_outputs", "lease", "suggestions.parquet"):
        store = stack.enter_context(echoing_store(refused))
        lake = {**plain, **restored, "PREANNOTATION_ROOT": "s3://bucket/x", "AWS_ENDPOINT_URL": store}
        canary.add(f"run without {refused}", "run", "vessels_ocr_5", environment=lake)


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    canary = Canary(tmp_path_factory.mktemp("canary"))
    for name in ("home", "tmp", "spark", "output"):
        (canary.left_behind / name).mkdir(parents=True)
    write_warehouse(canary.folder / "warehouse.duckdb", "*")
    with ExitStack() as stack:
        url, canary.metrics = stack.enter_context(collector())
        plan(canary, stack)
        (canary.folder / "plan.json").write_text(json.dumps(canary.steps))
        with (canary.left_behind / "stderr.txt").open("w") as errors:
            done = subprocess.run(
                [sys.executable, commands.__file__, str(canary.folder / "plan.json")],
                env=environment_of(canary.folder, canary.left_behind, url),
                cwd=canary.left_behind / "home",
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                timeout=500,
                check=False,
            )
        assert done.returncode == 0, (canary.left_behind / "stderr.txt").read_text()[-3000:]
        yield canary


def test_what_was_done_went_as_it_was_meant(canary: Canary) -> None:
    """Or there would be nothing to find."""
    assert {name: canary.status(name) for name in ("verify", "preview", "try", "compare", "sensor")} == {
        "verify": 0, "preview": 0, "try": 0, "compare": 0, "sensor": 0,
    }  # fmt: skip
    assert canary.status("checks") > 0
    failed = [
        "verify damaged",
        "labels",
        "run cast",
        "run error",
        "run without lease",
        "run forbidden ollama",
    ]
    assert {name: canary.status(name) for name in failed} == dict.fromkeys(failed, 1)
    assert Search(PAGE_MARKERS).in_folder(canary.lake)
    assert canary.metrics
    assert any(file.stat().st_size for file in (canary.left_behind / "spark").rglob("*") if file.is_file())
    assert any((canary.left_behind / "dagster").rglob("*.err"))


def test_no_page_text_is_left_outside_of_the_lake(canary: Canary) -> None:
    # `try` shows the pages it asks about; what it prints is the user's own.
    shown = [
        file
        for file in canary.left_behind.glob("output/*.txt")
        if " try" in file.name or " preflight" in file.name
    ]
    assert Search(PAGE_MARKERS).in_folder(canary.left_behind, shown) == {}


def test_no_secret_is_left_anywhere(canary: Canary) -> None:
    assert Search(SECRET_MARKERS).in_folder(canary.folder) == {}


def test_metrics_tell_of_no_page_and_no_secret(canary: Canary) -> None:
    assert set().union(*map(Search((*PAGE_MARKERS, *SECRET_MARKERS)).in_bytes, canary.metrics)) == set()


def test_nothing_of_ours_is_left_in_the_folder_for_temporary_files(canary: Canary) -> None:
    assert [
        path.name for path in (canary.left_behind / "tmp").iterdir() if "preannotation" in path.name
    ] == []
