"""The entry point of a deployment, run by hand: the web server is not open to all by default.

The image cannot be built here: of its recipe is read what must not be otherwise.
"""

import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

ROOT = Path(__file__).parents[1]


def entrypoint(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = home.parent / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    return subprocess.run(
        ["deploy/entrypoint.sh", *arguments],
        cwd=ROOT,
        env=os.environ | {"DAGSTER_HOME": str(home), "PATH": f"{home.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_on_every_address_it_does_not_listen_without_a_proxy_s_name(tmp_path: Path) -> None:
    ended = entrypoint(tmp_path / "home", "webserver", "--host", "0.0.0.0")
    assert ended.returncode == 1
    assert "put a proxy that does before it" in ended.stderr
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


OLD_CONFIGURATION = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def test_an_older_home_goes_on_with_today_s_configuration(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # As earlier releases wrote it.
    (home / "dagster.yaml").write_text(OLD_CONFIGURATION)
    with DagsterInstance.from_config(str(home)) as instance:
        run = create_run_for_test(instance, status=DagsterRunStatus.SUCCESS)
        instance.add_dynamic_partitions("datasets", ["vessels_ocr_7"])
    ended = entrypoint(home, "migrate")
    assert ended.returncode == 0, ended.stderr
    with DagsterInstance.from_config(str(home)) as instance:
        assert [found.run_id for found in instance.get_runs()] == [run.run_id]
        assert list(instance.get_dynamic_partitions("datasets")) == ["vessels_ocr_7"]
        assert instance.global_op_concurrency_default_limit == 1
        assert instance.run_retries_enabled


def test_what_it_starts_is_behind_the_gate() -> None:
    script = (ROOT / "deploy" / "entrypoint.sh").read_text("utf-8")
    assert "0.0.0.0" not in script
    # Dagster's own web server has no gate.
    assert "dagster-webserver" not in script
    assert re.search(r"exec python -m preannotation_assets\.web_server .*\"\$@\"", script)


def test_what_the_configuration_names_is_there() -> None:
    for file in ("dagster.yaml", "workspace.yaml"):
        named = re.findall(r"\b[\w-]+/[\w./-]+\.(?:yaml|sh|py|md)\b", (ROOT / file).read_text("utf-8"))
        assert [name for name in named if not (ROOT / name).is_file()] == []


def goes_into_the_image(path: str) -> bool:
    """Whether a file is sent to the build, by the last line that fits it or a folder above it."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    above = [path, *(str(folder) for folder in Path(path).parents if str(folder) != ".")]
    taken = True
    for line in lines:
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            anywhere = "**/" in line
            if any(fnmatch(Path(each).name if anywhere else each, pattern) for each in above):
                taken = line.startswith("!")
    return taken


@pytest.mark.parametrize(
    "path",
    [
        *(
            "data/lake/argilla/work/ds/pages/v/part-00000.parquet",
            "data/md_raw_ocr.duckdb",
            ".dagster/history/runs.db",
        ),
        *(
            ".venv/bin/python",
            ".venv-argilla/x",
            ".git/config",
            ".env",
            ".hypothesis/x",
            "notes.txt",
            "secret.pem",
            "deploy/pulumi-esc.yaml",
            "deploy/production.env",
        ),
        *(
            "preannotation_assets_tests/conftest.py",
            "preannotation_assets/lake/__pycache__/local.pyc",
            "benchmarks/a",
        ),
    ],
)
def test_pages_secrets_and_tools_stay_out_of_the_image(path: str) -> None:
    assert not goes_into_the_image(path)


def test_what_the_image_needs_goes_into_it() -> None:
    recipe = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"requirements/\w+\.lock", recipe)
    assert len(set(copied)) == 2
    needed = [
        *copied,
        "deploy/entrypoint.sh",
        "deploy/health.sh",
        "deploy/compute_logs_s3.yaml",
        "deploy/storage_postgres.yaml",
        "dagster.yaml",
        "workspace.yaml",
    ]
    needed += [
        "pyproject.toml",
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["readme"],
    ]
    needed += [str(file.relative_to(ROOT)) for file in (ROOT / "preannotation_assets").rglob("*.py")]
    assert [name for name in needed if not (ROOT / name).is_file() or not goes_into_the_image(name)] == []


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^\S+==[^ \\]+", (ROOT / "requirements" / lock).read_text("utf-8"), re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested_and_more() -> None:
    added = {pin.partition("==")[0] for pin in pins("deploy.lock") - pins("runtime.lock")}
    assert pins("runtime.lock") - pins("deploy.lock") == set()
    assert {"dagster-postgres", "psycopg2-binary", "dagster-k8s", "duckdb-extension-motherduck"} <= added


def test_the_image_has_a_pinned_base_and_does_not_run_as_root() -> None:
    recipe = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    lines = [line for line in recipe.splitlines() if line and not line.startswith("#")]
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    (user,) = [line for line in lines if line.startswith("USER ")]
    assert user != "USER root"
    # Nothing is installed after the rights are given up, and nothing that runs comes before.
    assert lines.index(user) > max(number for number, line in enumerate(lines) if line.startswith("RUN "))
    assert lines.index(user) < min(
        number for number, line in enumerate(lines) if line.startswith("ENTRYPOINT")
    )
    assert re.search(r"--owner=preannotation .*--mode=0700 /var/lib/dagster", recipe)
    assert all("--require-hashes" in line for line in lines if "-r requirements/" in line)
    # The command is there by the package's own entry point.
    assert re.search(r"pip install .*--editable \.( \\)?$", recipe, re.MULTILINE)
