import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from shared.published_dataset import LABELS, Dataset, good_rows
from shared.signal_handlers import kept_signal_handlers

from preannotation_assets import cli
from preannotation_assets.cli.commands import published
from preannotation_assets.errors import BatchError

ENGINES = {"dagster", "pyspark", "aiohttp", "preannotation_assets.simulator"}
# Writes what is loaded when the command has succeeded, the packages of ours down to the second level.
COMMAND = """
import sys
from preannotation_assets.cli import main
try:
    status = main(sys.argv[2:])
except SystemExit as ended:
    status = ended.code
names = {".".join(name.split(".")[:2]) for name in sys.modules}
with open(sys.argv[1], "w") as file:
    file.write("\\n".join(names | {name.split(".")[0] for name in names}))
sys.exit(status)
"""


def modules_loaded_by(arguments: list[str], folder: Path, **environment: str) -> set[str]:
    """The modules that a command which succeeds has loaded, in a process of its own."""
    names = folder / "modules"
    subprocess.run(
        [sys.executable, "-c", COMMAND, str(names), *arguments],
        check=True,
        timeout=60,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), **environment},
    )
    return set(names.read_text("utf-8").split())


@pytest.fixture(autouse=True)
def _keep_the_signal_handlers() -> Iterator[None]:
    with kept_signal_handlers():
        yield


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["run"], ["run", "a", "b"], ["run", "a", "--what"]])
def test_bad_usage_is_2_and_says_how(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    assert "usage: preannotate" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert all(
        command in said for command in ("run", "try", "preview", "verify", "demo", "dev", "simulate-ollama")
    )


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BatchError("two\nlines", "and a cure"), 1, "preannotate: error: two lines: and a cure\n"),
        (KeyboardInterrupt(), 130, "preannotate: interrupted; the answers so far are kept\n"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(published, "verify", fail)
    assert cli.main(["verify", "x"]) == status
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("arguments", [["run", "vessels_ocr_1"], ["demo"], ["dev"]])
def test_a_malformed_variable_is_told_once_before_anything_is_made(
    tmp_path: Path, arguments: list[str]
) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from preannotation_assets.cli import main; sys.exit(main())",
            *arguments,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PREANNOTATION_NUM_CTX": "12k"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    problem = "PREANNOTATION_NUM_CTX is '12k': set it to a whole number of at least 512"
    assert (ended.returncode, ended.stderr) == (1, f"preannotate: error: {problem}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_a_command_also_where_it_was_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def end(_: object) -> int:
        signal.raise_signal(number)
        return 0

    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr(published, "verify", end)
    assert cli.main(["verify", "x"]) == 130


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"preannotate {version('preannotation_assets')}\n"


def test_the_options_of_the_stand_in_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate-ollama", "--port", "0", "--fault=nonsense"]) == 2
    assert "no fault is called nonsense" in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        cli.main(["simulate-ollama", "--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert "usage: preannotate simulate-ollama" in said
    assert "--decode-rate" in said


def test_help_imports_nothing_that_takes_long(tmp_path: Path) -> None:
    loaded = modules_loaded_by(["--help"], tmp_path)
    assert not loaded & {*ENGINES, "boto3", "pyarrow", "numpy", "pydantic", "duckdb", "httpx"}


def test_a_label_scheme_is_checked_without_the_engines(tmp_path: Path) -> None:
    loaded = modules_loaded_by(["labels", "check"], tmp_path)
    assert "preannotation_assets.extraction" in loaded
    assert not loaded & {*ENGINES, "boto3"}


def test_what_is_published_is_verified_without_the_engines(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "lake")
    dataset.publish(good_rows())
    scheme = tmp_path / "labels.yaml"
    labels = "".join(f"  - {{name: {label}, definition: A {label}.}}\n" for label in LABELS)
    scheme.write_text(f"name: test\nversion: 1\nlabels:\n{labels}")
    loaded = modules_loaded_by(
        ["verify", dataset.layout.dataset],
        tmp_path,
        PREANNOTATION_ROOT=str(dataset.root),
        PREANNOTATION_LABELS=str(scheme),
    )
    assert "preannotation_assets.publishing" in loaded
    assert not loaded & {*ENGINES, "boto3"}
