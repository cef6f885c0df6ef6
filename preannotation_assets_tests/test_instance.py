import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from preannotation_assets.errors import BatchError, SettingsError
from preannotation_assets.instance import dataset_lock, ensure_dagster_home, interface_lock


def test_without_a_variable_it_is_here_with_a_copy_of_the_configuration(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    home = ensure_dagster_home(environment, tmp_path)
    assert home == tmp_path / ".dagster"
    assert environment == {"DAGSTER_HOME": str(home)}
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\nretention: {}\n")
    assert ensure_dagster_home({}, tmp_path) == home
    assert "retention" in (home / "dagster.yaml").read_text()
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize("configured", [True, False])
def test_telemetry_is_off_where_nobody_says_otherwise(tmp_path: Path, configured: bool) -> None:
    environment = {"DAGSTER_HOME": str(tmp_path / "some" / "home")} if configured else {}
    home = ensure_dagster_home(environment, tmp_path)
    configuration = yaml.safe_load((home / "dagster.yaml").read_text())
    assert configuration == {"telemetry": {"enabled": False}, "nux": {"enabled": False}}


def test_a_configuration_that_is_there_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("retention: {}\n")
    (tmp_path / "dagster.yaml").write_text("other: {}\n")
    ensure_dagster_home({"DAGSTER_HOME": str(home)}, tmp_path)
    assert (home / "dagster.yaml").read_text() == "retention: {}\n"


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
