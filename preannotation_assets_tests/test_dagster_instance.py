"""What Dagster says of a wrong dagster.yaml may repeat the passwords in it, wherever it is opened."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.errors import SettingsError

CONTENTS = ["storage: {sqlite: {password: hunter2}}\n", "storage: [hunter2\n", "x: hunter2\n"]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_wrong_configuration_of_dagster_is_told_without_its_values(tmp_path: Path, content: str) -> None:
    (tmp_path / "dagster.yaml").write_text(content)
    with pytest.raises(SettingsError, match=r"dagster\.yaml") as raised, open_instance(tmp_path):
        pytest.fail("it opened")
    assert "hunter2" not in str(raised.value)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="set DAGSTER_HOME"), open_instance(tmp_path / "gone"):
        pytest.fail("it opened")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "preannotation_assets.recovery"],
        ["-m", "preannotation_assets.web_server"],
        [
            "-c",
            "import sys; from preannotation_assets.cli import main; sys.exit(main())",
            "dev",
            "--port",
            "0",
        ],
    ],
    ids=["recovery", "web_server", "dev"],
)
def test_every_process_says_it_in_one_line(tmp_path: Path, command: Sequence[str]) -> None:
    (tmp_path / "dagster.yaml").write_text(CONTENTS[0])
    environment = os.environ | {
        "DAGSTER_HOME": str(tmp_path),
        "PREANNOTATION_OLLAMA_ENDPOINTS": "http://127.0.0.1:1",
        "PREANNOTATION_DATABASE": str(tmp_path / "pages.duckdb"),
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "hunter2" not in done.stderr + done.stdout
    (said,) = [line for line in done.stderr.splitlines() if "error: " in line]
    assert "Dagster's instance cannot be opened" in said
    assert "Traceback" not in done.stderr
