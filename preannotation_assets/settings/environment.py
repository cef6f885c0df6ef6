"""Reads the settings from environment variables."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import (
    CASCADE_VARIABLE,
    KEY_VARIABLE,
    PRIVATE_HOSTS_VARIABLE,
)
from preannotation_assets.settings.cascade import CascadeSettings, same_model
from preannotation_assets.settings.evaluating import EvaluatingSettings
from preannotation_assets.settings.fields import PREFIX, Setting, settings_of
from preannotation_assets.settings.groups import (
    REFUSED,
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    LabelSettings,
    SparkSettings,
    StorageSettings,
    WarehouseSettings,
    WatchingSettings,
    refused,
)
from preannotation_assets.settings.publishing import PublishingSettings
from preannotation_assets.settings.servers import (
    OllamaSettings,
    OpenAISettings,
    ServerChoice,
    ServerKind,
    ServerSettings,
)

__all__ = ["Settings"]

# Begin as ours do and are no settings: of deploy/entrypoint.sh, of the benchmarks, a secret, and what Dagster
# must not be able to change.
_OTHER_VARIABLES: Final = frozenset(
    ("PREANNOTATION_LOGS_BUCKET", "PREANNOTATION_PEERS_PYTHON", KEY_VARIABLE, PRIVATE_HOSTS_VARIABLE)
)
# Kubernetes tells every pod of the services in its namespace, of one called `preannotation` by these.
_OF_A_SERVICE: Final = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_WHOLE_NUMBER: Final = re.compile(r"\d{1,9}")
_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}")
_LONGEST_SHOWN: Final = 60
# No type takes it, so that pydantic itself tells where a text was not what is expected.
_MALFORMED: Final = object()


class Settings(BaseSettings):
    """The settings of one deployment, by groups; the defaults are local.

    ``Settings()`` has the defaults, ``Settings.from_environment(os.environ)`` what is configured.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    warehouse: WarehouseSettings = Field(default_factory=WarehouseSettings)
    watching: WatchingSettings = Field(default_factory=WatchingSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    server_choice: ServerChoice = Field(default_factory=ServerChoice)
    ollama: OllamaSettings = Field(default_factory=OllamaSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    cascade: CascadeSettings = Field(default_factory=CascadeSettings)
    chunking: ChunkingSettings = Field(default_factory=ChunkingSettings)
    asking: AskingSettings = Field(default_factory=AskingSettings)
    publishing: PublishingSettings = Field(default_factory=PublishingSettings)
    evaluating: EvaluatingSettings = Field(default_factory=EvaluatingSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)

    @model_validator(mode="after")
    def _check_cascade(self) -> Self:
        if self.cascade.model == self.generation.model:
            raise refused(same_model(self.cascade.model))
        try:
            self.with_servers(self.server_choice.server, *self.cascade.endpoints)
        except SettingsError as error:
            cure = "write HOST:PORT or http(s)://HOST:PORT, and no secrets"
            raise refused(SettingsError(f"{CASCADE_VARIABLE}: {error.problem}", cure)) from None
        if self.cascade.revision and self.server_choice.server is not ServerKind.openai:
            raise refused(
                SettingsError(
                    "PREANNOTATION_CASCADE_REVISION is for servers that do not tell their weights",
                    "take it away: Ollama tells the digest of a model",
                )
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: the process's own environment is read by nobody unasked."""
        return (init_settings,)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads the settings; an empty variable counts as unset.

        Raises:
            SettingsError: a value is malformed, or a variable that begins as ours do is not known. One line
                names every such variable; it repeats no value that may hold a secret.
        """
        source = _EnvironmentSource(cls, environment)
        problems = list(_unknown_variables(cls, environment))
        try:
            settings = cls(**source())
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            problems += [source.problem(detail) for detail in details]
        if problems:
            raise _all_in_one(problems) from None
        return settings

    @property
    def model_servers(self) -> ServerSettings:
        """The settings of the kind of server that is asked."""
        group: ServerSettings = getattr(self, self.server_choice.server)
        return group

    def with_servers(self, kind: ServerKind, *endpoints: str) -> "Settings":
        """The same settings with these servers instead of those that are asked.

        Raises:
            SettingsError: an address is malformed.
        """
        group: ServerSettings = getattr(self, kind)
        try:
            servers = type(group)(**{**dict(group), "endpoints": list(endpoints)})
        except ValidationError as error:
            context = error.errors(include_url=False, include_input=False)[0].get("ctx", {})
            raise SettingsError(
                context.get("problem", "an address of a server is malformed"),
                context.get("cure", "write it as http://host:port"),
            ) from None
        return self.model_copy(update={"server_choice": ServerChoice(server=kind), kind.value: servers})

    def with_model(self, model: str) -> "Settings":
        """The same settings for another model."""
        generation = GenerationSettings(**{**dict(self.generation), "model": model})
        return self.model_copy(update={"generation": generation})

    def with_in_flight(self, requests: int) -> "Settings":
        """The same settings with so many requests in flight at each server."""
        asking = AskingSettings(**{**dict(self.asking), "max_in_flight": requests})
        return self.model_copy(update={"asking": asking})


class _EnvironmentSource(PydanticBaseSettingsSource):
    """The values of every group in a mapping of environment variables."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environment = environment
        self._settings = {(setting.group, setting.name): setting for setting in settings_of(settings_cls)}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """The values that are set in a group."""
        values = {}
        for (group, name), setting in self._settings.items():
            _, text = self._read(setting)
            if group == field_name and text:
                values[name] = _parse(setting, text)
        return values, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The values of all groups."""
        fields = self.settings_cls.model_fields.items()
        return {name: self.get_field_value(field, name)[0] for name, field in fields}

    def _read(self, setting: Setting) -> tuple[str, str]:
        """The variable that counts and its text; the text is empty where none is set."""
        for variable in setting.variables:
            if text := self._environment.get(variable, "").strip():
                return variable, text
        return setting.variables[0], ""

    def problem(self, detail: ErrorDetails) -> SettingsError:
        """What pydantic found, in terms of the variable."""
        if detail["type"] == REFUSED:
            return SettingsError(detail["ctx"]["problem"], detail["ctx"]["cure"])
        group, name = (str(part) for part in detail["loc"][:2])
        setting = self._settings[group, name]
        variable, text = self._read(setting)
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        problem = (
            f"{variable} is malformed" if setting.reading.may_hold_secret else f"{variable} is {shown!r}"
        )
        return SettingsError(problem, f"set it to {setting.expected}" if setting.expected else "correct it")


def _parse(setting: Setting, text: str) -> object:
    """The value in a text, _MALFORMED where there is none; bounds are pydantic's business."""
    kind = setting.kind
    if kind is bool:
        return {"yes": True, "no": False}.get(text, _MALFORMED)
    if kind is int:
        return int(text) if _WHOLE_NUMBER.fullmatch(text) else _MALFORMED
    if kind is float:
        return float(text) if _NUMBER.fullmatch(text) else _MALFORMED
    if kind is list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is dict:
        return _parse_pairs(text)
    return text


def _parse_pairs(text: str) -> object:
    if text.startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return _MALFORMED
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key.strip() and equals for key, equals, _ in pairs):
        return _MALFORMED
    return {key.strip(): value.strip() for key, _, value in pairs}


def _unknown_variables(
    settings_cls: type[BaseSettings], environment: Mapping[str, str]
) -> Iterator[SettingsError]:
    known = {variable for setting in settings_of(settings_cls) for variable in setting.variables}
    for name in sorted(set(environment) - known - _OTHER_VARIABLES):
        if name.startswith(PREFIX) and environment[name].strip() and not _OF_A_SERVICE.fullmatch(name):
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            yield SettingsError(f"{name} is no setting", f"the nearest one is {nearest[0]}")


def _all_in_one(problems: list[SettingsError]) -> SettingsError:
    if len(problems) == 1:
        return problems[0]
    return SettingsError(f"{len(problems)} settings are wrong", "; ".join(map(str, problems)))
