import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.config import PoolGranularity

import preannotation_assets
from preannotation_assets.errors import BatchError, SettingsError
from preannotation_assets.instance import (
    dataset_lock,
    ensure_dagster_home,
    interface_lock,
    is_run_alive,
    run_lock,
)

OURS = Path(preannotation_assets.__file__).with_name("dagster.yaml")
# What earlier releases wrote where they were started in a folder without a dagster.yaml.
CRIPPLED = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def test_the_package_has_the_configuration_of_the_checkout() -> None:
    assert OURS.read_text("utf-8") == (Path(__file__).parents[1] / "dagster.yaml").read_text("utf-8")


@pytest.mark.parametrize("configured", [True, False])
def test_wherever_it_is_first_used_from_it_has_pools_and_retries(tmp_path: Path, configured: bool) -> None:
    (tmp_path / "dagster.yaml").write_text("of: another project\n")
    environment = {"DAGSTER_HOME": str(tmp_path / "some" / "home")} if configured else {}
    home = ensure_dagster_home(environment, tmp_path)
    assert home == (tmp_path / "some" / "home" if configured else tmp_path / ".dagster")
    assert environment == {"DAGSTER_HOME": str(home)}
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]
    with DagsterInstance.from_config(str(home)) as instance:
        assert instance.run_retries_enabled
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        pools = instance.get_concurrency_config().pool_config
        assert (pools.default_pool_limit, pools.pool_granularity) == (1, PoolGranularity.RUN)


def test_here_it_follows_the_package(tmp_path: Path) -> None:
    home = ensure_dagster_home({}, tmp_path)
    (home / "dagster.yaml").write_text("of: an earlier release\n")
    ensure_dagster_home({}, tmp_path)
    assert (home / "dagster.yaml").read_text() == OURS.read_text()


def test_what_an_earlier_release_wrote_without_limits_is_replaced_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dagster.yaml").write_text(CRIPPLED)
    ensure_dagster_home({"DAGSTER_HOME": str(tmp_path)}, tmp_path)
    assert (tmp_path / "dagster.yaml").read_text() == OURS.read_text()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path / 'dagster.yaml'} was written without pools and retries" in said


@pytest.mark.parametrize("content", ["retention: {}\n", "- a list\n", "\n", "run_retries: {enabled: no}\n"])
def test_a_configuration_that_is_there_stays_and_what_it_lacks_is_said(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dagster.yaml").write_text(content)
    ensure_dagster_home({"DAGSTER_HOME": str(tmp_path)}, tmp_path)
    assert (tmp_path / "dagster.yaml").read_text() == content
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "says nothing of telemetry, nux, concurrency, run_monitoring, run_retries" in said


def test_a_configuration_with_more_and_other_values_is_its_owners_business(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = yaml.safe_load(OURS.read_text()) | {"compute_logs": {"module": "m", "class": "C"}}
    theirs["concurrency"]["runs"]["max_concurrent_runs"] = 1
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(theirs))
    ensure_dagster_home({"DAGSTER_HOME": str(tmp_path)}, tmp_path)
    assert capsys.readouterr().err == ""
    del theirs["concurrency"]["pools"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(theirs))
    ensure_dagster_home({"DAGSTER_HOME": str(tmp_path)}, tmp_path)
    assert "says nothing of concurrency.pools:" in capsys.readouterr().err


def test_a_folder_that_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = ensure_dagster_home({"DAGSTER_HOME": str(tmp_path / "a" / "home")}, tmp_path)
    here = ensure_dagster_home({}, tmp_path)
    assert [home.stat().st_mode & 0o777 for home in (made, here)] == [0o700, 0o700]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    theirs.chmod(0o750)
    ensure_dagster_home({"DAGSTER_HOME": str(theirs)}, tmp_path)
    assert theirs.stat().st_mode & 0o777 == 0o750


def test_a_relative_folder_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"DAGSTER_HOME": "home"}
    assert ensure_dagster_home(environment, Path("/")) == tmp_path / "home"
    assert environment["DAGSTER_HOME"] == str(tmp_path / "home")


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="DAGSTER_HOME"):
        ensure_dagster_home({"DAGSTER_HOME": str(tmp_path / "file")}, tmp_path)
    with pytest.raises(SettingsError, match="DAGSTER_HOME"):
        ensure_dagster_home({"DAGSTER_HOME": str(tmp_path / "file" / "x")}, tmp_path)


def test_the_lock_is_of_one_dataset_and_remembers_the_last_run(tmp_path: Path) -> None:
    with dataset_lock(tmp_path, "a", "run 1") as before:
        assert before == ""
        with pytest.raises(BatchError, match="another process"), dataset_lock(tmp_path, "a", "run 2"):
            pytest.fail("two hold the lock")
        with dataset_lock(tmp_path, "b", "run 3") as other:
            assert other == ""
    with dataset_lock(tmp_path, "a", "r") as before:
        assert before == "run 1"
    with dataset_lock(tmp_path, "a", "run 5") as before:
        assert before == "r"


HOLDER = """
import sys
from pathlib import Path
from preannotation_assets.instance import dataset_lock
with dataset_lock(Path(sys.argv[1]), "a", "killed"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_loses_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BatchError), dataset_lock(tmp_path, "a", "next"):
            pytest.fail("two hold the lock")
        holder.kill()
        holder.wait(10)
    with dataset_lock(tmp_path, "a", "next") as before:
        assert before == "killed"


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "preannotate").touch()
    with pytest.raises(SettingsError, match="DAGSTER_HOME"), dataset_lock(tmp_path, "a", "x"):
        pytest.fail("there is no lock")


def test_one_web_interface_at_a_time_and_no_dataset_in_its_way(tmp_path: Path) -> None:
    with (
        interface_lock(tmp_path),
        dataset_lock(tmp_path, "vessels_ocr_1", "run 1"),
        pytest.raises(SettingsError, match="running already"),
        interface_lock(tmp_path),
    ):
        pass
    with interface_lock(tmp_path):
        pass


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    assert not is_run_alive(tmp_path, "run 1")
    with run_lock(tmp_path, "run 1"):
        assert is_run_alive(tmp_path, "run 1")
        assert not is_run_alive(tmp_path, "run 2")
    assert not is_run_alive(tmp_path, "run 1")
    assert list((tmp_path / "preannotate" / "runs").iterdir()) == []
