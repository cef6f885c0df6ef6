import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from preannotation_assets import cli
from preannotation_assets.errors import BatchError


@pytest.fixture(autouse=True)
def _keep_the_signal_handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


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

    monkeypatch.setattr(cli, "_verify", fail)
    assert cli.main(["verify", "x"]) == status
    assert capsys.readouterr() == ("", said)


def test_sigterm_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(cli, "_verify", end)
    assert cli.main(["verify", "x"]) == 130


def test_help_is_quick_because_dagster_and_spark_are_not_imported() -> None:
    code = "import sys; from preannotation_assets.cli import _parser; _parser()\nprint(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    for module in ("'dagster'", "'pyspark'", "'duckdb'"):
        assert module not in done.stdout
