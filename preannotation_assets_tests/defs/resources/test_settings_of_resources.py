"""Dagster's launchpad shows and enforces what the settings define."""

from collections.abc import Mapping
from typing import Any

import pytest
from dagster import AssetExecutionContext, ConfigurableResource, Definitions, Field, asset
from dagster._core.errors import DagsterInvalidConfigError, DagsterResourceFunctionError

from preannotation_assets.definitions import build_resources
from preannotation_assets.settings import ServerChoice, ServerKind, Settings
from preannotation_assets.settings.fields import Setting, settings_of

SETTINGS = Settings.from_environment(
    {
        "PREANNOTATION_DATABASE": "md:ocr",
        "PREANNOTATION_PAGES_A_PART": "1500",
        "PREANNOTATION_STREAM": "never",
        "PREANNOTATION_CHUNK_TOKENS": "4000",
        "PREANNOTATION_SPARK_CONFIG": "spark.a=1",
        "PREANNOTATION_FLUSH_SECONDS": "0.5",
        "OLLAMA_HOST": "gpu",
    }
)
RESOURCES: Mapping[str, ConfigurableResource[Any]] = {**build_resources(SETTINGS)}  # type: ignore[dict-item]
KINDS = {kind.value: kind for kind in ServerKind}
KEYS = {
    "labels": "label_scheme",
    **dict.fromkeys(KINDS, "model_server"),
    "generation": "model_server",
    "asking": "model_server",
}


def resource_with(group: str) -> ConfigurableResource[Any]:
    """The resource that a group of settings goes into; of the kinds of servers, the group's own."""
    if group not in KINDS:
        return RESOURCES[KEYS.get(group, group)]
    settings = SETTINGS.model_copy(update={"server_choice": ServerChoice(server=KINDS[group])})
    return build_resources(settings)["model_server"]


@pytest.mark.parametrize(
    "setting",
    # The kind of the servers decides which resource there is, so it is not in one.
    [setting for setting in settings_of(Settings) if setting.group != "server_choice"],
    ids=lambda item: f"{item.group}.{item.name}",
)
def test_every_setting_is_in_the_launchpad_with_its_value_and_its_description(setting: Setting) -> None:
    config: Field = resource_with(setting.group).get_resource_definition().config_field
    assert config.config_type.fields[setting.name].description == setting.field.description
    value = getattr(getattr(SETTINGS, setting.group), setting.name)
    assert config.default_value.get(setting.name) == value


def run(key: str, config: dict[str, Any]) -> None:
    @asset(required_resource_keys={key})
    def uses_it() -> None: ...

    job = Definitions(
        assets=[uses_it], resources={key: RESOURCES[key]}
    ).resolve_implicit_global_asset_job_def()
    job.execute_in_process(run_config={"resources": {key: {"config": config}}})


@pytest.mark.parametrize(
    ("key", "config"),
    [
        ("storage", {"pages_a_part": 5001}),
        ("storage", {"endpoint_url": "http://user:hunter2@s3"}),
        ("warehouse", {"database": "md:?token=hunter2"}),
        ("spark", {"driver_memory": "much"}),
        ("chunking", {"overlap_tokens": 3000}),
        ("model_server", {"max_in_flight": 0}),
        ("model_server", {"endpoints": ["http://user:hunter2@gpu"]}),
    ],
)
def test_the_launchpad_takes_nothing_that_the_environment_may_not_say(
    key: str, config: dict[str, Any]
) -> None:
    with pytest.raises(DagsterResourceFunctionError) as raised:
        run(key, config)
    assert "hunter2" not in str(raised.value.__cause__)


def test_what_the_launchpad_leaves_out_of_a_resource_has_its_default_as_docs_say() -> None:
    seen = []

    @asset(required_resource_keys={"chunking"})
    def uses_it(context: AssetExecutionContext) -> None:
        seen.append(context.resources.chunking)

    chunking = build_resources(Settings.from_environment({"PREANNOTATION_OVERLAP_TOKENS": "100"}))["chunking"]
    job = Definitions(
        assets=[uses_it], resources={"chunking": chunking}
    ).resolve_implicit_global_asset_job_def()
    job.execute_in_process()
    job.execute_in_process(run_config={"resources": {"chunking": {"config": {"chunk_tokens": 3000}}}})
    assert [(each.chunk_tokens, each.overlap_tokens) for each in seen] == [(6000, 100), (3000, 200)]


def test_the_launchpad_knows_the_choices_of_streaming() -> None:
    run("model_server", {"stream": "always"})
    with pytest.raises(DagsterInvalidConfigError, match="sometimes"):
        run("model_server", {"stream": "sometimes"})
