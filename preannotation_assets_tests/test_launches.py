"""What a launch may configure, of every job, by name and type: a list that somebody has looked at."""

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance, JobDefinition
from dagster._config.config_type import ConfigType, ConfigTypeKind

from preannotation_assets.definitions import build_definitions
from preannotation_assets.settings import ServerKind, Settings

# Numbers, choices and names: none of them is an address, a path, SQL, a command or the name of a variable.
ALLOWED = {
    "ops.pages.doc_ids[]": "String",
    "ops.raw_model_outputs.refresh": "Bool",
    "resources.chunking.chunk_tokens": "Int",
    "resources.chunking.overlap_tokens": "Int",
    "resources.model_server.attempts": "Int",
    "resources.model_server.first_backoff": "Float",
    "resources.model_server.flush_seconds": "Float",
    "resources.model_server.max_failure_rate": "Float",
    "resources.model_server.max_in_flight": "Int",
    "resources.model_server.min_in_flight": "Int",
    # As the server names it: a server that passes models on to others is its operator's business.
    "resources.model_server.model": "String",
    "resources.model_server.num_ctx": "Int",
    "resources.model_server.num_predict": "Int",
    "resources.model_server.read_timeout": "Float",
    "resources.model_server.second_pass_below": "Float",
    "resources.model_server.seed": "Int",
    "resources.model_server.self_reported": "Bool",
    "resources.model_server.shortest_timeout": "Float",
    "resources.model_server.stream": "StreamChoice",
    "resources.model_server.temperature": "Float",
}
SCALARS = (ConfigTypeKind.SCALAR, ConfigTypeKind.ENUM)


def leaves(config: ConfigType, place: str = "") -> Iterator[tuple[str, str]]:
    """Every value that a configuration may hold: where, and its type, or the kind of what is not plain."""
    if config.kind in (ConfigTypeKind.STRICT_SHAPE, ConfigTypeKind.PERMISSIVE_SHAPE):
        # Dagster's own job for any selection of assets takes, and ignores, what is of other assets.
        if config.kind is ConfigTypeKind.PERMISSIVE_SHAPE and place not in ("resources", "ops"):
            yield place, config.kind.name
        for name, field in config.fields.items():
            inner = place if name == "config" else f"{place}.{name}".lstrip(".")
            yield from leaves(field.config_type, inner)
    elif config.kind is ConfigTypeKind.NONEABLE:
        yield from leaves(config.inner_type, place)
    elif config.kind is ConfigTypeKind.ARRAY:
        yield from leaves(config.inner_type, f"{place}[]")
    else:
        yield place, str(config.given_name or config.key) if config.kind in SCALARS else config.kind.name


def jobs(kind: ServerKind) -> list[JobDefinition]:
    environment = {"PREANNOTATION_SERVER": kind.value}
    definitions = build_definitions(Settings.from_environment(environment))
    # Loading asks the instance that was made last in this process, though it be gone.
    with DagsterInstance.ephemeral():
        return list(definitions.get_repository_def().get_all_jobs())


@pytest.mark.parametrize("kind", ServerKind)
def test_a_launch_configures_what_is_on_the_list_and_nothing_else(kind: ServerKind) -> None:
    found = {job.name: dict(leaves(job.run_config_schema.run_config_schema_type)) for job in jobs(kind)}
    assert {"preannotate", "__ASSET_JOB"} <= found.keys()
    assert found["preannotate"] == found["__ASSET_JOB"] == ALLOWED
    for name, values in found.items():
        assert values.items() <= ALLOWED.items(), name


def test_every_resource_is_closed_where_the_list_does_not_open_it() -> None:
    opened = {place.split(".")[1] for place in ALLOWED if place.startswith("resources.")}
    for job in jobs(ServerKind.ollama):
        for name, field in job.run_config_schema.run_config_schema_type.fields[
            "resources"
        ].config_type.fields.items():
            fields = field.config_type.fields["config"].config_type.fields
            assert bool(fields) == (name in opened), name
