"""Every setting, defined once: name, type, bounds, default, description and environment variable.

The environment is read into these models (``environment.py``), Dagster's resources inherit them, and the
README's table is printed from them (``table.py``). A description is shown in Dagster's launchpad as well.

Secrets (``PREANNOTATION_SERVER_API_KEY``, ``CF_ACCESS_CLIENT_SECRET``, ``motherduck_token``, ``AWS_*``) are
not settings: whoever needs one reads it from the environment at the moment of use, so that it cannot reach
a configuration that Dagster stores and shows.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import unquote

import regex
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.s3_endpoint import check_endpoint
from preannotation_assets.settings.credentials import holds_credentials, is_name_of_secret
from preannotation_assets.settings.fields import Reading, Setting

__all__ = [
    "REFUSED",
    "AskingSettings",
    "ChunkingSettings",
    "GenerationSettings",
    "LabelSettings",
    "SettingsGroup",
    "SparkSettings",
    "StorageSettings",
    "WarehouseSettings",
    "WatchingSettings",
    "absolute_path",
    "refused",
]

REFUSED: Final = "setting_refused"
"""The type of a validation error whose context holds a ``problem`` and a ``cure`` to be shown."""

_DEFAULT_LABELS: Final = Path(__file__).parents[1] / "label_schemes" / "vessels.yaml"
_MEMORY_SIZE: Final = r"^\d+(\.\d+)? ?([kKMGT]i?)?B$"
_SELDOM: Final = Reading(is_seldom=True)
# What options, and a token instead of a name, would need.
_MOTHERDUCK_NAME: Final = re.compile(r"md:(?!eyJ[^.]*\.)[^?#&=%@:/]{0,255}")
# Anything but s3://bucket/prefix: what S3 clients of other kinds take in an address.
_ODD_ROOT: Final = re.compile(r"^(?!file:)[^/]*://(?:[^/]*[:]|.*[@?#])", re.DOTALL)


class SettingsGroup(BaseModel):
    """Settings that belong together. Defaults are validated, values never repeated in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _refuse_credentials(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        if any(map(holds_credentials, _texts_in(value))):
            raise refused(misplaced_secret(Setting("", name, cls.model_fields[name]).variables[0]))
        return value


class LabelSettings(SettingsGroup):
    """What is marked."""

    path: Annotated[
        str, Reading(variables=("PREANNOTATION_LABELS",), default_shown="the scheme in the package")
    ] = Field(default=str(_DEFAULT_LABELS), description="The label scheme, a YAML file (docs/labels.md).")

    @field_validator("path")
    @classmethod
    def _make_absolute(cls, path: str) -> str:
        return absolute_path(path)


class WarehouseSettings(SettingsGroup):
    """Where the pages come from."""

    database: str = Field(
        default="data/md_raw_ocr.duckdb", description="A DuckDB file, or md: or md:NAME for MotherDuck."
    )
    batch_condition: str = Field(
        default="",
        description="SQL over doc_id that says which pages are of the batch $dataset; empty for the default.",
    )
    dataset_pattern: Annotated[
        str, Reading(expected="a regular expression whose first group is the dataset")
    ] = Field(
        default="",
        description="How the sensor finds datasets: a regular expression (RE2) whose first group is the "
        "dataset in a doc_id. Empty: names that begin with `vessels_ocr_`, up to the first `/`; in a doc_id "
        "without one, up to what is neither letter nor digit.",
    )
    memory_limit: Annotated[
        str, Reading(expected="a size in bytes with its unit, such as 1GB", is_seldom=True)
    ] = Field(
        default="200MB",
        pattern=_MEMORY_SIZE,
        description="What DuckDB may hold before it spills to disk, with its unit.",
    )

    @field_validator("database")
    @classmethod
    def _check_database(cls, database: str) -> str:
        is_remote = database.startswith("md:")
        if "token=" in unquote(database).lower() or (is_remote and not _MOTHERDUCK_NAME.fullmatch(database)):
            raise refused(
                SettingsError(
                    "PREANNOTATION_DATABASE has more in it than the name of a database",
                    "write a file, md: or md:NAME, and put the token into the variable motherduck_token",
                )
            )
        return database if database.startswith("md:") else absolute_path(database)

    @field_validator("dataset_pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        if not pattern:
            return pattern
        try:
            groups = regex.compile(pattern).groups
        except regex.error:
            groups = 0
        if not groups:
            raise ValueError("give a regular expression whose first group is the dataset")
        return pattern


class WatchingSettings(SettingsGroup):
    """When the sensor asks for runs."""

    sensor_seconds: Annotated[int, _SELDOM] = Field(
        default=60, ge=5, le=86_400, description="Seconds between two looks of the sensor at the warehouse."
    )
    sensor_listing_seconds: Annotated[int, _SELDOM] = Field(
        default=600,
        ge=0,
        le=86_400,
        description="After how many seconds the hashes of all pages are read again though their number is "
        "the same; a look between counts the pages only.",
    )
    still_seconds: int = Field(
        default=600,
        ge=0,
        le=86_400,
        description="How many seconds a dataset must have been the same before the sensor has it run; 0 for "
        "at once.",
    )
    sensor_most_runs: Annotated[int, _SELDOM] = Field(
        default=10, ge=1, le=1000, description="The most runs that one look of the sensor asks for."
    )


class StorageSettings(SettingsGroup):
    """Where suggestions are published and working data is kept."""

    root: str = Field(
        default="data/lake", description="Where all results are kept: a folder, or s3://bucket[/prefix]."
    )
    endpoint_url: Annotated[
        str | None, Reading(variables=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), may_hold_secret=True)
    ] = Field(default=None, description="The address of an S3-compatible server, such as MinIO, Ceph or R2.")
    region: Annotated[str | None, Reading(variables=("AWS_REGION", "AWS_DEFAULT_REGION"))] = Field(
        default=None, description="The S3 region."
    )
    pages_a_part: Annotated[int, _SELDOM] = Field(
        default=2000,
        ge=1000,
        le=5000,
        description="Pages in one Parquet file of a new snapshot, at most, and so the share of a Spark task; "
        "the first files hold fewer, so that a small batch has work for all cores.",
    )

    def place(self) -> tuple[str, str | None, str | None]:
        """What the lake makes its location of: root, endpoint and region."""
        return self.root, self.endpoint_url, self.region

    @field_validator("root")
    @classmethod
    def _make_absolute(cls, root: str) -> str:
        if _ODD_ROOT.search(root):
            raise refused(misplaced_secret("PREANNOTATION_ROOT"))
        return root if "://" in root else absolute_path(root)

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, address: str | None) -> str | None:
        try:
            check_endpoint(address)
        except SettingsError as error:
            raise refused(error) from None
        return address


class ChunkingSettings(SettingsGroup):
    """How pages are cut for the model."""

    chunk_tokens: int = Field(
        default=6000, ge=64, description="Tokens of page text in one request, at most (docs/chunking.md)."
    )
    overlap_tokens: int = Field(
        default=200,
        ge=0,
        description="Tokens that neighbouring chunks share; less than half of a chunk.",
    )

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        if 2 * self.overlap_tokens >= self.chunk_tokens:
            error = SettingsError(
                "PREANNOTATION_CHUNK_TOKENS and PREANNOTATION_OVERLAP_TOKENS do not fit",
                f"{self.overlap_tokens} is not less than half of {self.chunk_tokens}",
            )
            raise refused(error)
        return self


class GenerationSettings(SettingsGroup):
    """What the model is asked with, the same in every request of a run."""

    model: str = Field(
        default="llama3.3:70b",
        min_length=1,
        description="The model, as its server names it; cloud models are refused.",
    )
    num_ctx: int = Field(
        default=12288,
        ge=512,
        description="Context of every request in tokens: instructions, page and answer.",
    )
    num_predict: int = Field(default=3072, ge=16, description="Longest answer in tokens.")
    temperature: Annotated[float, _SELDOM] = Field(
        default=0.0,
        ge=0,
        le=2,
        description="How freely the model chooses its words; at 0 it takes the likeliest one each time.",
    )
    seed: Annotated[int, _SELDOM] = Field(
        default=1, ge=0, description="Of the model's choices; it counts above a temperature of 0 only."
    )
    second_pass_below: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Chunks with a value less probable than that are asked about twice; without it none is "
        "(docs/answers.md).",
    )
    self_reported: bool = Field(
        default=False,
        description="Whether the model is asked for a digit behind every quote, a confidence for servers "
        "without log-probabilities (docs/answers.md).",
    )


class AskingSettings(SettingsGroup):
    """How hard the model servers are pushed, and when a request or a run is given up."""

    max_in_flight: Annotated[int | None, Reading(default_shown="`4` of Ollama, `256` of openai")] = Field(
        default=None,
        ge=1,
        description="Requests in flight at each server, at most, over all runs of this machine; not above "
        "what it works on at once (OLLAMA_NUM_PARALLEL of Ollama, --max-num-seqs of vLLM).",
    )
    stream: StreamChoice = Field(
        default=StreamChoice.auto,
        description="Whether answers are streamed; auto streams over https, and elsewhere where "
        "max_in_flight is 256 or less. An endless answer is given up early only over a stream.",
    )
    min_in_flight: Annotated[int, _SELDOM] = Field(
        default=1, ge=1, description="Requests in flight at an overloaded server: not fewer."
    )
    attempts: Annotated[int, _SELDOM] = Field(
        default=6, ge=1, description="Attempts at a request that no server serves."
    )
    first_backoff: Annotated[float, _SELDOM] = Field(
        default=1.0, gt=0, description="Longest wait before the second attempt, seconds; it grows from there."
    )
    max_failure_rate: Annotated[float, _SELDOM] = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Failed share of the last 100 chunks; above it the run stops early.",
    )
    read_timeout: Annotated[float, _SELDOM] = Field(
        default=900.0, gt=0, description="Longest silence of a server, seconds."
    )
    shortest_timeout: Annotated[float, _SELDOM] = Field(
        default=300.0, gt=0, description="What an answer may take however fast the model is, seconds."
    )
    flush_seconds: Annotated[float, _SELDOM] = Field(
        default=3.0, gt=0, description="Answers are durable after this many seconds."
    )


class SparkSettings(SettingsGroup):
    """The engine that shares out the work."""

    master: Annotated[str, Reading(variables=("PREANNOTATION_SPARK_MASTER",))] = Field(
        default="local[*]",
        description="Spark's master URL: local[N] for N cores here, local[*] for all cores, or a cluster's.",
    )
    driver_memory: Annotated[
        str, Reading(expected="a size as Spark writes it, such as 2g", is_seldom=True)
    ] = Field(
        default="2g",
        pattern=r"^\d+[kmgtKMGT][bB]?$",
        description="Heap of the driver's JVM, as Spark writes sizes. Python workers come on top of it.",
    )
    permit_port: Annotated[int, _SELDOM] = Field(
        default=0,
        ge=0,
        le=65_535,
        description="The driver's port at which the tasks of a run ask for permits, or the first free one of "
        "the 16 after it; 0 for any (docs/cluster.md).",
    )
    spark_config: Annotated[
        dict[str, str],
        Reading(
            expected="key=value,key=value or a JSON object of texts", is_seldom=True, may_hold_secret=True
        ),
    ] = Field(
        default={},
        description="Any other Spark properties; they win over what this package sets. No secrets. "
        "As a variable: key=value,key=value or a JSON object.",
    )

    @field_validator("master")
    @classmethod
    def _check_master(cls, master: str) -> str:
        if set("@?#") & set(master):
            raise refused(misplaced_secret("PREANNOTATION_SPARK_MASTER"))
        return master

    @field_validator("spark_config")
    @classmethod
    def _check_config(cls, config: dict[str, str]) -> dict[str, str]:
        # Where a secret is, in a file, is none.
        if any(is_name_of_secret(name) and not name.lower().endswith("file") for name in config):
            error = SettingsError(
                "PREANNOTATION_SPARK_CONFIG has a property for a secret",
                "put it into Spark's spark-defaults.conf, which Dagster does not store",
            )
            raise refused(error)
        return config


def refused(error: SettingsError) -> PydanticCustomError:
    """An error of a validator that reaches the user as it is."""
    return PydanticCustomError(REFUSED, "{problem}: {cure}", {"problem": error.problem, "cure": error.cure})


def misplaced_secret(variable: str) -> SettingsError:
    """What is told of a setting that has a secret in it, without repeating it."""
    return SettingsError(
        f"{variable} has a user name, a password or a token in it",
        "secrets have variables of their own, see the table of settings in README.md",
    )


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts_in(list(value.values()))
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def absolute_path(path: str) -> str:
    """From the present folder or the user's home: who reads the settings may run in another folder."""
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        error = SettingsError(f"nobody knows the home folder in {path!r}", "write the whole path")
        raise refused(error) from None
