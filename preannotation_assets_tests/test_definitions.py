"""What Dagster loads: from the files at the top, from any environment."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from dagster import AssetKey, DagsterInstance, Definitions, SkipReason, build_sensor_context
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

import preannotation_assets
from preannotation_assets.definitions import defs, load_definitions
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.settings import WatchingSettings

CHECKOUT = Path(__file__).parents[1]
STAGES = ["pages", "chunks", "raw_model_outputs", "suggestions"]
PROBLEM = "PREANNOTATION_NUM_CTX is '12k'"


def dg(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Dagster's command line on the checkout, with its instance in ``folder``."""
    shutil.copy(CHECKOUT / "dagster.yaml", folder)
    main = "import sys; from dagster_dg_cli.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", main, *arguments],
        env=os.environ | {"DAGSTER_HOME": str(folder)} | environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_dg_finds_nothing_wrong(tmp_path: Path) -> None:
    checked = dg(tmp_path, "check", "defs")
    assert checked.returncode == 0, checked.stderr
    assert "All definitions loaded successfully." in checked.stdout + checked.stderr


def test_dg_lists_the_whole_story(tmp_path: Path) -> None:
    listed = dg(tmp_path, "list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assets = {asset["asset_key"]: asset for asset in found["assets"]}
    order = ["vw_argilla_pages", *STAGES, "argilla_records", "vw_argilla_responses"]
    assert sorted(assets) == sorted([*order, "evaluation"])
    for before, after in pairwise(order):
        assert assets[after]["dependency_keys"] == [before]
    assert sorted(assets["evaluation"]["dependency_keys"]) == ["suggestions", "vw_argilla_responses"]
    executable = sorted(name for name in assets if assets[name]["is_executable"])
    assert executable == sorted([*STAGES, "evaluation"])
    assert all(assets[name]["description"] for name in assets)
    assert sorted(job["name"] for job in found["jobs"]) == [
        "ask_failures_again",
        "evaluate",
        "freshness",
        "ground_and_publish",
        "preannotate",
        "verify_published",
    ]
    assert all(job["description"] for job in found["jobs"])
    assert [schedule["name"] for schedule in found["schedules"]] == ["freshness_of_all"]
    assert [sensor["name"] for sensor in found["sensors"]] == ["new_datasets"]


def test_the_location_has_one_name() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"]["dg"]["project"]
    (entry,) = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text("utf-8"))["load_from"]
    assert entry["python_module"] == {
        "module_name": project["code_location_target_module"],
        "location_name": project["code_location_name"],
    }
    # As `preannotate dev` names it, where neither file is there.
    assert project["code_location_name"] == project["root_module"] == preannotation_assets.__name__


def test_the_job_makes_what_is_ours_and_nothing_else() -> None:
    job = defs.resolve_job_def("preannotate")
    assert job.asset_layer.selected_asset_keys == {AssetKey(name) for name in STAGES}


def test_every_stage_tells_its_code_version() -> None:
    graph = defs.resolve_asset_graph()
    versions = {graph.get(AssetKey(name)).code_version for name in STAGES}
    assert None not in versions
    assert len(versions) == len(STAGES)


@pytest.fixture(scope="module")
def malformed() -> Definitions:
    return load_definitions({"PREANNOTATION_NUM_CTX": "12k"})


@pytest.mark.parametrize("stage", STAGES)
def test_a_malformed_variable_fails_every_stage_with_one_line(malformed: Definitions, stage: str) -> None:
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", ["vessels_ocr_7"])
        result = malformed.resolve_job_def("preannotate").execute_in_process(
            instance=instance,
            partition_key="vessels_ocr_7",
            asset_selection=[AssetKey(stage)],
            raise_on_error=False,
        )
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error
    assert error.cause
    assert error.cause.message.startswith(f"preannotation_assets.errors.SettingsError: {PROBLEM}: set it to")
    # Else Dagster takes it for a crash and starts the run again.
    (ended,) = [event for event in result.all_events if event.is_job_failure]
    assert ended.job_failure_data.failure_reason
    assert ended.job_failure_data.failure_reason.value == "STEP_FAILURE"


def test_with_a_malformed_variable_the_sensor_says_so_and_forgets_nothing(malformed: Definitions) -> None:
    resources = {name: (malformed.resources or {})[name] for name in ("warehouse", "storage")}
    new_datasets = build_sensor(WatchingSettings())
    with DagsterInstance.ephemeral() as instance:
        context = build_sensor_context(instance, cursor='{"vessels_ocr_7": "f"}', resources=resources)
        result = new_datasets(context)
        assert isinstance(result, SkipReason)
        assert (result.skip_message or "").startswith(PROBLEM)
        assert new_datasets.evaluate_tick(context).cursor == '{"vessels_ocr_7": "f"}'


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PREANNOTATION_ROOT", "s3://key:hunter2@bucket"),
        ("AWS_ENDPOINT_URL", "https://h/?k=hunter2"),
        ("PREANNOTATION_SPARK_MASTER", "spark://u:hunter2@h:7077"),
        ("PREANNOTATION_SPARK_CONFIG", "spark.authenticate.secret=hunter2"),
        ("PREANNOTATION_DATABASE", "md:x?motherduck_token=hunter2"),
    ],
)
def test_a_secret_in_the_wrong_variable_is_in_nothing_that_dagster_stores_or_logs(
    variable: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    shown = load_definitions({variable: text}).get_repository_def()
    assert "hunter2" not in serialize_value(RepositorySnap.from_def(shown))
    assert "nothing can run: " in caplog.text
    assert "hunter2" not in caplog.text


def test_with_a_malformed_variable_the_location_loads_and_says_so(tmp_path: Path) -> None:
    listed = dg(tmp_path, "list", "defs", "--json", PREANNOTATION_NUM_CTX="12k")
    assert listed.returncode == 0, listed.stderr
    assert set(STAGES) < {asset["asset_key"] for asset in json.loads(listed.stdout)["assets"]}
    assert f"nothing can run: {PROBLEM}: set it to" in listed.stderr
    assert "Traceback" not in listed.stderr
