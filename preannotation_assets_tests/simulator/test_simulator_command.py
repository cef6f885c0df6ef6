"""The command: its options, its one line, its clean end."""

import argparse
import os
import signal
import subprocess
import sys

import httpx
import pytest

from preannotation_assets.errors import EndpointError, SettingsError
from preannotation_assets.simulator import Fault, HabitRates, RunningSimulator, SimulatorSettings
from preannotation_assets.simulator.command import add_arguments, run, settings_of


def _parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_options_become_settings() -> None:
    settings = settings_of(
        _parse(
            "--slots", "8", "--model", "a:1b", "--thinking-model", "b", "--fault", "busy=0.25", "--no-habits"
        )
    )
    assert (settings.slots, settings.port, settings.habits) == (8, 11_434, HabitRates.NONE)
    assert [(model.name, model.is_thinking) for model in settings.models] == [("a:1b", False), ("b", True)]
    assert [(rule.fault, rule.probability) for rule in settings.faults] == [(Fault.BUSY, 0.25)]


def test_kinds_of_models_have_options() -> None:
    options = ("--jinja-model", "j", "--windowed-model", "w", "--cloud-model", "c")
    models = {model.name: model for model in settings_of(_parse(*options)).models}
    assert [name for name, model in models.items() if model.is_jinja] == ["j"]
    assert [name for name, model in models.items() if model.has_sliding_window] == ["w"]
    assert [name for name, model in models.items() if model.is_cloud] == ["c"]


@pytest.mark.parametrize("option", ["--fault=nonsense", "--fault=busy=often", "--slots=0", "--speed=-1"])
def test_settings_that_cannot_be(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError):
        settings_of(_parse(option))
    assert run(_parse(option)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_access_needs_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CF_ACCESS_CLIENT_ID", "id")
    monkeypatch.delenv("CF_ACCESS_CLIENT_SECRET", raising=False)
    with pytest.raises(SettingsError, match="CF_ACCESS_CLIENT_SECRET"):
        settings_of(_parse("--require-access"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_one_line_and_ends_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "preannotation_assets.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            prefix = "stand-in Ollama listening on "
            assert line.startswith(prefix + "http://127.0.0.1:")
            url = line.removeprefix(prefix).strip()
            assert httpx.get(f"{url}/api/version").json() == {"version": "0.33.0"}
            os.kill(process.pid, number)
            rest, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_a_typed_error(capsys: pytest.CaptureFixture[str]) -> None:
    with RunningSimulator() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(EndpointError), RunningSimulator(SimulatorSettings(port=port)):
            pass
        assert run(_parse("--port", str(port))) == 2
    assert "choose another port" in capsys.readouterr().err
