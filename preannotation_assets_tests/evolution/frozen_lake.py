"""A frozen lake: files as an earlier version of the code stored them, and what is known of them.

A folder ``lake_v<number>`` holds ``lake/`` (all a run leaves behind, but for leases and the preview),
``warehouse.json`` (the rows of the view of pages), ``labels.yaml`` and ``frozen.json``. It is written once,
by ``freeze.py``, and never changed. Everything these tests need of the package is imported here.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from preannotation_assets import cli
from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex, read_answers
from preannotation_assets.contracts import (
    ANSWERS,
    CHUNKS,
    GROUNDINGS,
    PAGES,
    RAW_MODEL_OUTPUTS,
    REQUESTS,
    SUGGESTIONS,
)
from preannotation_assets.demo.sample import sample_pages
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import Message, Prompt, build_prompt
from preannotation_assets.extraction.token_kinds import KindFactors
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table_as
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import DatasetLayout, calibration_key
from preannotation_assets.manifests import (
    Calibration,
    ChunksManifest,
    PagesManifest,
    RawModelOutputsManifest,
    SuggestionsManifest,
)
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate, request_key
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.publishing.verification import SpanRules
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)

__all__ = [
    "ANSWERS",
    "DATASET",
    "MODEL",
    "ChunkLimits",
    "Fault",
    "FaultRule",
    "Frozen",
    "FrozenLake",
    "KindFactors",
    "Message",
    "ModelOptions",
    "Prompt",
    "RequestTemplate",
    "RunningSimulator",
    "asked",
    "build_prompt",
    "chunk_page",
    "cli",
    "default_prompt",
    "default_scheme",
    "frozen_lakes",
    "in_columns",
    "process_environment",
    "request_key",
    "rows_hash",
    "sample_pages",
    "stand_in",
    "stand_in_digest",
    "text_sha256",
]

DATASET = "vessels_ocr_frozen"
MODEL = "llama3.3:70b"
SEED = 7
_ROOT = Path(cli.__file__).parents[2]


def stand_in() -> RunningSimulator:
    """The stand-in for Ollama, as it was when a lake was frozen."""
    return RunningSimulator(SimulatorSettings(slots=4, seed=SEED))


def stand_in_digest() -> str:
    return SimulatedModel(MODEL).digest()


def asked(simulator: RunningSimulator) -> int:
    """How many requests had a page in them."""
    return sum(not record.is_load_only for record in simulator.requests())


def write_warehouse(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The database with the view of pages."""
    columns = ("doc_id", "page_num", "text", "text_sha256")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num BIGINT, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
        connection.executemany(
            "INSERT INTO p VALUES (?, ?, ?, ?)", [[row[name] for name in columns] for row in rows]
        )


def rows_hash(table: pa.Table) -> str:
    """A hash of every value of a table in its order, whatever file they come from."""
    instants = [
        table.schema.get_field_index(field.name)
        for field in table.schema
        if pa.types.is_timestamp(field.type)
    ]
    for index in instants:
        table = table.set_column(index, table.schema.names[index], table.column(index).cast(pa.int64()))
    return hashlib.sha256(json.dumps(table.to_pylist(), sort_keys=True).encode()).hexdigest()


def in_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """What a stored table must be read as: its own values, and null in the columns that came later."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def default_scheme() -> LabelScheme:
    """The label scheme in the package."""
    return load_label_scheme(str(_ROOT / "preannotation_assets/label_schemes/vessels.yaml"))


def default_prompt() -> Prompt:
    """The prompt for it."""
    return build_prompt(default_scheme())


@dataclass(frozen=True)
class Frozen:
    """What ``frozen.json`` says.

    ``settings`` are environment variables; ``request_keys`` some keys by the chunk's SHA-256;
    ``failed_request_key`` is the one request that failed, about ``failed_doc_id``; ``rows_sha256`` is the
    `rows_hash` of the published rows; ``run_ids`` are the runs that asked.
    """

    dataset: str
    settings: dict[str, str]
    model: str
    model_digest: str
    prompt_fingerprint: str
    request_fingerprint: str
    second_pass_fingerprint: str
    request_keys: dict[str, str]
    failed_doc_id: str
    failed_request_key: str
    run_ids: list[str]
    published_rows: int
    rows_sha256: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class FrozenLake:
    """A folder with a frozen lake, or a copy of one that may be changed."""

    folder: Path

    @property
    def frozen(self) -> Frozen:
        return Frozen(**json.loads((self.folder / "frozen.json").read_text("utf-8")))

    @property
    def warehouse_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads((self.folder / "warehouse.json").read_text("utf-8"))
        return rows

    @property
    def store(self) -> ObjectStore:
        return open_store(StoreLocation(str(self.folder / "lake")))

    @property
    def layout(self) -> DatasetLayout:
        return DatasetLayout(DATASET)

    @property
    def published(self) -> pa.Table:
        return self.read(self.layout.published_suggestions)

    def copy(self, folder: Path) -> "FrozenLake":
        """A copy with a database beside it, in which a run can go on."""
        # With the times of now: what is older than a day may be swept.
        shutil.copytree(self.folder, folder, copy_function=shutil.copyfile)
        write_warehouse(folder / "warehouse.duckdb", self.warehouse_rows)
        return FrozenLake(folder)

    def environment(self, ollama: str) -> dict[str, str]:
        """The settings of a run over the copy."""
        return {
            **self.frozen.settings,
            "OLLAMA_HOST": ollama,
            "PREANNOTATION_DATABASE": str(self.folder / "warehouse.duckdb"),
            "PREANNOTATION_ROOT": str(self.folder / "lake"),
            "PREANNOTATION_LABELS": str(self.folder / "labels.yaml"),
            "PREANNOTATION_SPARK_MASTER": "local[2]",
            "DAGSTER_HOME": str(self.folder / "dagster home"),
        }

    def template(self) -> RequestTemplate:
        """What the frozen questions were asked with, made by today's code."""
        return self.template_of(self.frozen.settings)

    def template_of(self, settings: Mapping[str, str]) -> RequestTemplate:
        options = ModelOptions(
            context_tokens=int(settings["PREANNOTATION_NUM_CTX"]),
            answer_tokens=int(settings["PREANNOTATION_NUM_PREDICT"]),
        )
        prompt = build_prompt(load_label_scheme(str(self.folder / "labels.yaml")))
        return RequestTemplate(MODEL, stand_in_digest(), prompt, options)

    def tables(self) -> Iterator[tuple[str, pa.Schema]]:
        """Every Parquet object of the lake with the schema it is written with."""
        work = self.layout.work
        schemas = {
            f"{work}/pages/": PAGES,
            f"{work}/chunks/": CHUNKS,
            f"{self.layout.answers}/": ANSWERS,
            f"{work}/raw_model_outputs/": RAW_MODEL_OUTPUTS,
            f"{self.layout.requests}/": REQUESTS,
            f"{self.layout.published}/": SUGGESTIONS,
        }
        for stat in self.store.list("argilla/"):
            if not stat.key.endswith(".parquet"):
                continue
            if stat.key.startswith(f"{work}/suggestions/"):
                yield stat.key, GROUNDINGS if "/groundings/" in stat.key else SUGGESTIONS
            else:
                yield (
                    stat.key,
                    next(schema for start, schema in schemas.items() if stat.key.startswith(start)),
                )

    def read(self, key: str) -> pa.Table:
        """A Parquet object as it is stored."""
        return pq.read_table(self.folder / "lake" / key, partitioning=None)

    def write(self, key: str, table: pa.Table) -> None:
        """Puts a table in the lake as it is, whatever its columns are."""
        path = self.folder / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def remove(self, key: str) -> None:
        (self.folder / "lake" / key).unlink()

    def read_as(self, key: str, schema: pa.Schema) -> pa.Table:
        """A Parquet object as the package's own readers read the columns of a schema."""
        return read_table_as(self.store, key, schema)

    def read_manifest_as(self, key: str, kind: type[BaseModel]) -> dict[str, Any]:
        """A manifest as the package reads it, in JSON's types."""
        manifest = read_manifest(self.store, key, kind)
        assert manifest is not None
        return manifest.model_dump(mode="json")

    def journal_files(self) -> list[str]:
        return [stat.key for stat in self.store.list(f"{self.layout.answers}/")]

    def manifests(self) -> Iterator[tuple[str, type[BaseModel]]]:
        """Every manifest's key with its model."""
        yield self.layout.stage_manifest("pages"), PagesManifest
        yield self.layout.stage_manifest("chunks"), ChunksManifest
        yield self.layout.stage_manifest("raw_model_outputs"), RawModelOutputsManifest
        yield self.layout.published_manifest, SuggestionsManifest
        yield calibration_key(MODEL), Calibration

    def manifest(self, stage: str) -> Any:
        """The manifest of a stage, or of what is published, as it is stored."""
        return json.loads(self.store.read(self.manifest_key(stage)))

    def manifest_key(self, stage: str) -> str:
        return self.layout.published_manifest if stage == "published" else self.layout.stage_manifest(stage)

    def index(self) -> AnswerIndex:
        return AnswerIndex.read(self.store, self.layout.answers)

    def journal_rows(self) -> pa.Table:
        """Every row of the journal's files in today's columns, read without the package."""
        return pa.concat_tables([in_columns(self.read(key), ANSWERS) for key in self.journal_files()])

    def answers(self, request_keys: Sequence[str]) -> pa.Table:
        """The rows that the journal holds for these requests, in the order of the keys."""
        index = self.index()
        wanted = {key: answer for key in request_keys if (answer := index.get(key))}
        return read_answers(self.store, wanted).sort_by("request_key")

    def compact(self) -> int:
        """Puts the journal's small files together; how many were replaced."""
        return compact_answers(self.store, self.layout.answers)

    def verify(self) -> list[str]:
        """What the verification of the published rows finds wrong; empty where all is right."""
        scheme = load_label_scheme(str(self.folder / "labels.yaml"))
        report = verify_dataset(self.store, DATASET, SpanRules(scheme.label_names, scheme.overlaps))
        return [] if report.passed else list(report.lines())


def frozen_lakes() -> list[FrozenLake]:
    """Every lake that was ever frozen, the oldest first."""
    return [FrozenLake(folder) for folder in sorted(Path(__file__).parent.glob("lake_v*"))]


def process_environment() -> dict[str, str]:
    """What a process of the command line needs of this one's environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "JAVA_HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(_ROOT)}
