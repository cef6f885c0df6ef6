"""deploy/model-servers: every option has its reason, and fits what the pipeline asks."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deployment.compose_file import DEPLOY
from preannotation_assets.settings import Settings

UNITS = sorted((DEPLOY / "model-servers").glob("*.service"))
DEFAULTS = Settings()


def unreasoned(lines: list[str]) -> list[str]:
    """Options without a comment above them; those that stand together share one."""
    found = []
    above = ""
    for line in map(str.strip, lines):
        is_option = line.startswith(("Environment=", "--"))
        if is_option and not above.startswith(("#", "Environment=")):
            found.append(line)
        above = line
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_option_has_its_reason(unit: Path) -> None:
    text = unit.read_text("utf-8").replace("Environment=HOME", "# the folder\nEnvironment=HOME")
    assert unreasoned(text.splitlines()) == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze: install Debian's package systemd")
    # The server is not installed here: its name only is taken for granted.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8"), flags=re.MULTILINE)
    copy = tmp_path / unit.name.replace("@", "@0")
    copy.write_text(text)
    words = ["systemd-analyze", "verify", "--man=no", copy]
    checked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_ollama_is_set_up_for_what_is_asked() -> None:
    text = (DEPLOY / "model-servers" / "ollama@.service").read_text("utf-8")
    said = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
    assert int(said["OLLAMA_CONTEXT_LENGTH"]) == DEFAULTS.generation.num_ctx
    assert said["OLLAMA_KEEP_ALIVE"] == DEFAULTS.ollama.keep_alive
    assert said["OLLAMA_NUM_PARALLEL"] == "4"
    # These write what is asked, and so pages, to logs and files.
    assert not {"OLLAMA_DEBUG", "OLLAMA_DEBUG_LOG_REQUESTS"} & set(said)


@pytest.mark.parametrize("name", ["vllm-h100.service", "vllm-dgx-spark.service"])
def test_vllm_is_set_up_for_what_is_asked(name: str) -> None:
    text = (DEPLOY / "model-servers" / name).read_text("utf-8")
    command = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))
    assert f"--max-model-len {DEFAULTS.generation.num_ctx} " in command
    at_once = re.search(r"--max-num-seqs (\d+)", command)
    assert at_once
    assert f"PREANNOTATION_MAX_IN_FLIGHT={at_once[1]}\n" in text
    # The key is where not everybody reads it, and requests are not written down.
    assert "--api-key" not in command
    assert "--enable-log-requests" not in command
    explained = (DEPLOY.parent / "docs" / "model-servers.md").read_text("utf-8")
    for option in ("--structured-outputs-config", "--speculative-config"):
        value = re.search(rf"{option} ('[^']*')", command)
        assert value
        assert f"`{option} {value[1]}`" in explained
