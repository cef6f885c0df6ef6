"""Everything that a user may do, in order, over servers of which most are hostile; and what came of it."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import httpx
from shared.duckdb_rows import insert_rows
from shared.spark_archive import VARIABLE

from canary.echo_server import Reply
from canary.echoing import (
    FATAL_REPLIES,
    REPLIES,
    Change,
    Spoil,
    count_strings,
    echoing_proxy,
    for_pages,
    for_path,
    for_string,
)
from canary.echoing_store import echoing_store
from canary.markers import PLAIN, SECRETS, page_text
from preannotation_assets import cli
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)
from preannotation_assets.simulator.openai import Flavour, OpenAiSettings, RunningOpenAiSimulator, ServedModel

__all__ = ["Canary", "Plan", "make_folder"]

MODEL: Final = "llama3.3:70b"
# After these no request can succeed, so each has a server of its own.
FATAL_FAULTS: Final = (Fault.DIGEST_CHANGE, Fault.LOGIN_REDIRECT, Fault.LOGIN_PAGE, Fault.FORBIDDEN_PAGE)
FAULTS: Final = tuple(
    FaultRule(fault, requests=(2 + 2 * place,))
    for place, fault in enumerate(sorted(set(Fault) - set(FATAL_FAULTS)))
)
# What is asked before any page is: there the secrets could be repeated. The first is asked first.
PREFLIGHT: Final = {
    "ollama": ("/api/version", "/api/tags", "/api/ps"),
    "openai": ("/v1/models", "/v1/chat/completions", "/version"),
}
VARIABLES: Final = {"ollama": "PREANNOTATION_OLLAMA_ENDPOINTS", "openai": "PREANNOTATION_SERVER_URLS"}
PAGES: Final = {
    "vessels_ocr_1": 24,
    "vessels_ocr_2": 24,
    "vessels_ocr_3": 30,
    "vessels_ocr_4": 30,
    "vessels_ocr_5": 3,
}
PUBLISHED, SMALL = "vessels_ocr_1", "vessels_ocr_5"
# Views that fail on every page, with words that quote it.
BROKEN_COLUMNS: Final = {
    "cast": "CAST(text AS INTEGER)::VARCHAR",
    "error": "error('at ' || text)::VARCHAR",
}
REFUSED_KEYS: Final = ("_probes", "pages", "raw_model_outputs", "lease", "suggestions.parquet")
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
    """A user's folder, what is to be done there in order, and what came of it.

    ``metrics`` are the bodies that a collector was sent. ``echoes`` counts how often each server that repeats
    requests did so, by the step that asks it.
    """

    folder: Path
    steps: list[dict[str, object]] = field(default_factory=list)
    metrics: Sequence[bytes] = ()
    echoes: Counter[str] = field(default_factory=Counter)
    servers: dict[str, list[str]] = field(default_factory=lambda: {"ollama": [], "openai": []})

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def left_behind(self) -> Path:
        """Everything that is left outside of the lake."""
        return self.folder / "left behind"

    @property
    def errors(self) -> Path:
        return self.left_behind / "stderr.txt"

    def status(self, step: str) -> int:
        (file,) = self.left_behind.glob(f"output/* {step}.status")
        return int(file.read_text())

    def environment(self, metrics_url: str) -> dict[str, str]:
        """Names all servers: Spark's workers keep this environment, and send secrets to no other server."""
        names = ("PATH", "LANG", "JAVA_HOME", "PYTHONPYCACHEPREFIX", "LD_PRELOAD", VARIABLE)
        inherited = {name: os.environ[name] for name in names if name in os.environ}
        spark = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": (self.left_behind / "spark").as_uri(),
        }
        return {
            **inherited,
            **SECRETS,
            "PYTHONPATH": os.pathsep.join(
                [str(Path(cli.__file__).parents[2]), str(Path(__file__).parents[1])]
            ),
            "HOME": str(self.left_behind / "home"),
            "TMPDIR": str(self.left_behind / "tmp"),
            "DAGSTER_HOME": str(self.left_behind / "dagster"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": metrics_url,
            "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(self.servers["ollama"]),
            "PREANNOTATION_SERVER_URLS": ",".join(self.servers["openai"]),
            "AWS_REGION": "us-east-1",
            "PREANNOTATION_DATABASE": str(self.folder / "warehouse.duckdb"),
            "PREANNOTATION_ROOT": str(self.lake),
            "PREANNOTATION_MODEL": MODEL,
            "PREANNOTATION_SPARK_MASTER": "local[2]",
            "PREANNOTATION_SPARK_CONFIG": json.dumps(spark),
            "PREANNOTATION_MAX_IN_FLIGHT": "4",
            "PREANNOTATION_NUM_PREDICT": "400",
            "PREANNOTATION_FIRST_BACKOFF": "0.01",
            "PREANNOTATION_MAX_FAILURE_RATE": "1",
        }


def make_folder(folder: Path) -> Canary:
    """A user's folder, with a warehouse and nothing done."""
    canary = Canary(folder)
    for name in ("home", "tmp", "spark", "output"):
        (canary.left_behind / name).mkdir(parents=True)
    _write_warehouse(folder / "warehouse.duckdb", "*")
    (folder / "labels.yaml").write_text(SCHEME.format(word=PLAIN.word))
    return canary


class Plan:
    """Starts servers, which live as long as ``stack``, and says what is done with each."""

    def __init__(self, canary: Canary, stack: ExitStack) -> None:
        self._canary = canary
        self._stack = stack
        self._good = {"ollama": self._ollama(), "openai": self._openai()}
        self._plain = self._at("ollama", self._good["ollama"])

    def everything(self) -> None:
        self._runs()
        self._what_is_published()
        self._trials()
        for kind, url in self._good.items():
            self._fatal_faults(kind)
            self._echoes(kind, url)
            self._spoilt_replies(kind, url, PREFLIGHT[kind])
        self._spoilt_replies("openai", self._openai(flavour=Flavour.LLAMA), ("/props",))
        self._broken_warehouses()
        self._refusing_lakes()

    def _runs(self) -> None:
        """A run over each kind of server, with every fault and with every echo that a run can bear."""
        echo = for_pages(list(REPLIES.values()), every=2)
        good = self._good
        for dataset, kind, url in (
            ("vessels_ocr_1", "ollama", self._ollama(*FAULTS)),
            ("vessels_ocr_2", "openai", self._openai(*FAULTS)),
            ("vessels_ocr_3", "ollama", self._echoing("run vessels_ocr_3", good["ollama"], echo)),
            ("vessels_ocr_4", "openai", self._echoing("run vessels_ocr_4", good["openai"], echo)),
        ):
            self._add(f"run {dataset}", ["run", dataset], self._at(kind, url))

    def _what_is_published(self) -> None:
        """Verified, shown, damaged, and checked again; and a tick of the sensor."""
        parquet = self._canary.lake / "argilla" / "in" / PUBLISHED / "suggestions" / "suggestions.parquet"
        for name, does in {
            "verify": ["verify", PUBLISHED],
            "preview": ["preview", PUBLISHED],
            "damage": ["damage", str(parquet)],
            "verify damaged": ["verify", PUBLISHED],
            "checks": ["checks", PUBLISHED],
            "sensor": ["sensor"],
            "labels": ["labels", "check", str(self._canary.folder / "labels.yaml")],
        }.items():
            self._add(name, does, self._plain)

    def _trials(self) -> None:
        self._add("try", ["try", PUBLISHED, "--pages", "2"], self._plain)
        servers = [["--server", kind, url, MODEL] for kind, url in self._good.items()]
        does = ["compare-servers", PUBLISHED, "--pages", "2", *servers[0], *servers[1]]
        self._add("compare", does, {**self._at("openai", self._good["openai"]), **self._plain})

    def _fatal_faults(self, kind: str) -> None:
        for fault in FATAL_FAULTS:
            rule = FaultRule(fault, probability=1)
            url = self._ollama(rule) if kind == "ollama" else self._openai(rule)
            self._add(f"try {fault} {kind}", ["try", SMALL], self._at(kind, url))

    def _echoes(self, kind: str, url: str) -> None:
        """Every echo, of a page and of what is asked first; and a run that one of them ends."""
        for name, reply in (REPLIES | FATAL_REPLIES).items():
            self._try_over(f"try {name} {kind}", kind, url, for_pages([reply]))
            self._try_over(f"preflight {name} {kind}", kind, url, for_path(PREFLIGHT[kind][0], reply))
        step = f"run forbidden {kind}"
        fatal = self._echoing(step, url, for_pages([FATAL_REPLIES["forbidden page"]], every=2))
        self._add(step, ["run", SMALL], self._at(kind, fatal))

    def _spoilt_replies(self, kind: str, url: str, paths: Sequence[str]) -> None:
        """For each string in the replies to what is asked first: what was sent, in its place."""
        for path, number in _strings(url, paths):
            step = f"preflight{path.replace('/', ' ')} {number} {kind}"
            self._try_over(step, kind, url, for_string(path, number))

    def _broken_warehouses(self) -> None:
        for name, column in BROKEN_COLUMNS.items():
            database = self._canary.folder / f"{name}.duckdb"
            _write_warehouse(database, f"doc_id, page_num, {column} AS text, text_sha256")
            broken = {**self._plain, "PREANNOTATION_DATABASE": str(database)}
            self._add(f"run {name}", ["run", SMALL], broken)
            self._add(f"sensor {name}", ["sensor"], broken)
            self._add(f"try {name}", ["try", SMALL], broken)

    def _refusing_lakes(self) -> None:
        database = {"PREANNOTATION_DATABASE": str(self._canary.folder / "warehouse.duckdb")}
        for refused in REFUSED_KEYS:
            url = self._stack.enter_context(echoing_store(refused))
            lake = {"PREANNOTATION_ROOT": "s3://bucket/x", "AWS_ENDPOINT_URL": url}
            self._add(f"run without {refused}", ["run", SMALL], {**self._plain, **database, **lake})

    def _add(self, step: str, does: Sequence[str], environment: Mapping[str, str]) -> None:
        steps = self._canary.steps
        output = self._canary.left_behind / "output" / f"{len(steps):03} {step}.txt"
        steps.append({"does": does, "environment": dict(environment), "output": str(output)})

    def _try_over(self, step: str, kind: str, url: str, spoil: Spoil) -> None:
        proxy = self._echoing(step, url, spoil)
        self._add(step, ["try", SMALL, "--pages", "1"], self._at(kind, proxy))

    def _echoing(self, step: str, url: str, spoil: Spoil) -> str:
        self._canary.echoes[step] = 0

        def counted(path: str, sent: str, is_about_a_page: bool) -> Reply | Change | None:
            made = spoil(path, sent, is_about_a_page)
            self._canary.echoes[step] += made is not None
            return made

        return self._stack.enter_context(echoing_proxy(url, counted))

    def _at(self, kind: str, url: str) -> dict[str, str]:
        """The settings for a server of that kind."""
        self._canary.servers[kind].append(url)
        return {"PREANNOTATION_SERVER": kind, VARIABLES[kind]: url}

    def _ollama(self, *faults: FaultRule) -> str:
        settings = SimulatorSettings(models=(SimulatedModel(MODEL),), slots=4, faults=faults)
        return self._stack.enter_context(RunningSimulator(settings)).url

    def _openai(self, *faults: FaultRule, flavour: Flavour = Flavour.VLLM) -> str:
        settings = OpenAiSettings(
            flavour=flavour, model=ServedModel((MODEL,)), faults=faults, restart_seconds=0.05,
            api_key=SECRETS["PREANNOTATION_SERVER_API_KEY"],
        )  # fmt: skip
        return self._stack.enter_context(RunningOpenAiSimulator(settings)).url


def _strings(url: str, paths: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each string in what a good server says under these paths, by its number."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "max_tokens": 2}
    headers = {"Authorization": f"Bearer {SECRETS['PREANNOTATION_SERVER_API_KEY']}"}
    for path in paths:
        body = asked if path.endswith("completions") else None
        good = httpx.request("POST" if body else "GET", f"{url}{path}", json=body, headers=headers).json()
        yield from ((path, number) for number in range(count_strings(good)))


def _write_warehouse(path: Path, columns: str) -> None:
    rows = [
        (f"{dataset}/{number}", 1, page_text(number + 1000 * place))
        for place, (dataset, pages) in enumerate(PAGES.items())
        for number in range(pages)
    ]
    hashed = [(*row, hashlib.sha256(row[2].encode()).hexdigest()) for row in rows]
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num BIGINT, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute(f"CREATE VIEW vw_argilla_pages AS SELECT {columns} FROM p")
        insert_rows(connection, "p", hashed)
