"""A launch changes how the model is asked, takes the rest from the environment, and is bounded as it is."""

from collections.abc import Callable
from typing import Any

import pytest
from dagster import (
    AssetExecutionContext,
    DagsterInvalidConfigError,
    Definitions,
    ExecuteInProcessResult,
    Field,
    asset,
)

from preannotation_assets.definitions import build_definitions
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import Setting, settings_of

LAUNCHABLE = {"generation": "model_server", "asking": "model_server", "chunking": "chunking"}
ENVIRONMENT = {
    "PREANNOTATION_MODEL": "of-the-environment",
    "PREANNOTATION_NUM_CTX": "20000",
    "PREANNOTATION_STREAM": "never",
    "PREANNOTATION_CHUNK_TOKENS": "4000",
    "PREANNOTATION_OVERLAP_TOKENS": "100",
    "PREANNOTATION_FLUSH_SECONDS": "0.5",
    "PREANNOTATION_MAX_IN_FLIGHT": "8",
    "PREANNOTATION_SECOND_PASS_BELOW": "0.5",
    "OLLAMA_HOST": "https://gpu",
}
SETTINGS = Settings.from_environment(ENVIRONMENT)
RESOURCES = build_definitions(SETTINGS).resources or {}


@pytest.mark.parametrize(
    "setting",
    [setting for setting in settings_of(Settings) if setting.group in LAUNCHABLE],
    ids=lambda item: f"{item.group}.{item.name}",
)
def test_the_launchpad_shows_the_values_of_the_environment_and_what_they_mean(setting: Setting) -> None:
    fields: dict[str, Field] = RESOURCES[LAUNCHABLE[setting.group]].config_field.config_type.fields
    assert fields[setting.name].description.startswith(setting.field.description)
    assert fields[setting.name].default_value == getattr(getattr(SETTINGS, setting.group), setting.name)


def launched(
    key: str, config: dict[str, Any], use: Callable[[Any], object] = lambda resource: resource
) -> tuple[ExecuteInProcessResult, list[Any]]:
    seen: list[Any] = []

    @asset(required_resource_keys={key})
    def uses_it(context: AssetExecutionContext) -> None:
        seen.append(use(getattr(context.resources, key)))

    job = Definitions(
        assets=[uses_it], resources={key: RESOURCES[key]}
    ).resolve_implicit_global_asset_job_def()
    run_config = {"resources": {key: {"config": config}}}
    return job.execute_in_process(run_config=run_config, raise_on_error=False), seen


def server_of(config: dict[str, Any]) -> ModelServerResource:
    result, (resource,) = launched("model_server", config)
    assert result.success
    return resource


def test_what_a_launch_leaves_out_is_as_the_environment_says() -> None:
    present, other = server_of({}), server_of({"model": "another", "num_predict": 400})
    assert (present.model, other.model, other.num_predict) == ("of-the-environment", "another", 400)
    assert other.addresses() == present.addresses() == ["https://gpu"]
    changed = {"model", "num_predict"}
    for name in type(present).model_fields.keys() - changed:
        assert getattr(other, name) == getattr(present, name), name
    assert (other.num_ctx, other.flush_seconds, other.second_pass_below) == (20_000, 0.5, 0.5)


def test_a_launch_can_switch_the_second_pass_off_and_choose_how_answers_come() -> None:
    resource = server_of({"second_pass_below": None, "stream": "always"})
    assert resource.second_pass_below is None
    assert resource.access().streamed == set(resource.access().endpoints)
    assert server_of({"stream": "never"}).access().streamed == set()
    with pytest.raises(DagsterInvalidConfigError, match="sometimes"):
        launched("model_server", {"stream": "sometimes"})


def test_a_launch_lowers_the_limit_in_flight_and_cannot_raise_it() -> None:
    assert server_of({"max_in_flight": 3}).limits().max_in_flight == 3
    assert server_of({}).limits().max_in_flight == 8
    assert server_of({"min_in_flight": 100}).limits().min_in_flight == 8
    assert "above 8, which is the most in this environment" in failure("model_server", {"max_in_flight": 9})


@pytest.mark.parametrize(
    ("key", "config", "said"),
    [
        ("model_server", {"max_in_flight": 0}, "max_in_flight of this launch is malformed"),
        ("model_server", {"num_predict": 1}, "num_predict of this launch is malformed"),
        ("model_server", {"first_backoff": float("inf")}, "first_backoff of this launch is malformed"),
        ("chunking", {"overlap_tokens": 3000}, "3000 is not less than half of 4000"),
    ],
)
def test_a_value_out_of_its_bounds_fails_the_step_in_one_line(
    key: str, config: dict[str, Any], said: str
) -> None:
    assert said in failure(key, config)


def failure(key: str, config: dict[str, Any]) -> str:
    """What the step fails with; a resource that fails by itself counts as a crash, and is tried again."""
    uses = {"model_server": lambda server: server.access(), "chunking": lambda cut: cut.chunk_tokens}
    result, seen = launched(key, config, uses[key])
    assert seen == []
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    error = failed.step_failure_data.error
    assert error
    assert error.cause
    assert "SettingsError" in error.cause.message
    return error.cause.message
