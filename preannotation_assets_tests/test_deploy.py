"""The entry point of a deployment, run by hand: the web server is not open to all by default."""

import os
import re
import subprocess
import sys
from pathlib import Path

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
        timeout=120,
        check=False,
    )


def test_on_every_address_it_does_not_listen_without_a_proxy_s_name(tmp_path: Path) -> None:
    ended = entrypoint(tmp_path / "home", "webserver", "--host", "0.0.0.0")
    assert ended.returncode == 1
    assert "put a proxy that does before it" in ended.stderr
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


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
