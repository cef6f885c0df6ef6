"""``preannotate compare-servers`` as a user runs it: two kinds of servers over HTTP."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from shared.strangers import answering, by_path, strangers

from preannotation_assets import cli
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)
from preannotation_assets.simulator.openai.running import RunningOpenAiSimulator
from preannotation_assets.simulator.openai.settings import OpenAiSettings, ServedModel

DATASET = "vessels_ocr_7"
PAGE = 'M/V "ZEBRAQUARTZ STAR"  IMO 9666948. Arrived at Hamburg from Antwerp on {} March 1957.\n'
OLLAMA_MODEL, OPENAI_MODEL = "llama3.3:70b", "llama-70b"

Compare = Callable[..., tuple[int, str, str]]
Servers = tuple[RunningSimulator, RunningOpenAiSimulator]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RunningSimulator, RunningOpenAiSimulator]]:
    with ExitStack() as stack:
        ollama = SimulatorSettings(models=(SimulatedModel(OLLAMA_MODEL),), habits=HabitRates.NONE, speed=0.0)
        openai = OpenAiSettings(model=ServedModel((OPENAI_MODEL,)), habits=HabitRates.NONE)
        yield (
            stack.enter_context(RunningSimulator(ollama)),
            stack.enter_context(RunningOpenAiSimulator(openai)),
        )


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compare:
    """The command in this process, with a warehouse of 12 pages: exit status, output, errors."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE vw_argilla_pages"
            "(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
        )
        for number in range(1, 13):
            text = f"Page {number}.\n" + PAGE.format(number)
            connection.execute(
                "INSERT INTO vw_argilla_pages VALUES (?, ?, ?, ?)",
                [f"{DATASET}/a", number, text, text_sha256(text)],
            )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("PREANNOTATION_DATABASE", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))

    def run(*arguments: str, dataset: str = DATASET) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(["compare-servers", dataset, *arguments])
        return status, *capsys.readouterr()

    return run


def _arguments(servers: Servers) -> list[str]:
    ollama, openai = servers
    return ["--server", "ollama", ollama.url, OLLAMA_MODEL, "--server", "openai", openai.url, OPENAI_MODEL]


def _row(out: str, title: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith(title)]
    return re.split(r" {2,}", line.removeprefix(title).strip())


def test_two_kinds_of_servers_are_asked_about_the_same_pages(
    servers: Servers, compare: Compare, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))

    status, out, error = compare(*_arguments(servers), "--pages", "8", "--in-flight", "2")

    assert (status, error) == (0, "")
    assert _row(out, "requests in flight") == ["2", "2"]
    assert _row(out, "requests  ") == ["8", "8"]
    assert _row(out, "  failed") == ["0", "0"]
    assert len(_row(out, "hours for 12 requests")) == 2
    assert re.search(r"^1 and 2  1\.00 of the spans: \d+ shared, 0 of 1 only, 0 of 2 only; 8 of 8", out, re.M)
    assert "ZEBRAQUARTZ" not in out
    assert sorted(tmp_path.rglob("*")) == before


def test_texts_are_cut_for_the_model_that_has_the_most_tokens(
    servers: Servers, compare: Compare, tmp_path: Path
) -> None:
    numbers = " ".join(str(100_000 + 593 * number) for number in range(1_500))
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "INSERT INTO vw_argilla_pages VALUES (?, ?, ?, ?)",
            ["numbers/a", 1, numbers, text_sha256(numbers)],
        )

    status, out, error = compare(*_arguments(servers), "--pages", "1", dataset="numbers")

    # One text of three digits a token, and more than one of a token a digit, which is presumed of the second.
    assert (status, error) == (0, "")
    first, second = map(int, _row(out, "requests  "))
    assert first == second > 1


def test_each_kind_has_its_own_number_in_flight_unless_one_is_given(
    servers: Servers, compare: Compare
) -> None:
    _, out, _ = compare(*_arguments(servers))

    assert _row(out, "requests in flight") == ["4", "256"]
    assert "2: 12 requests do not fill 256 in flight" in out


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    servers: Servers,
    compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREANNOTATION_FIRST_BACKOFF", "0.01")
    ollama, _ = servers
    ollama.set_faults(FaultRule(Fault.BUSY, requests=(1, 2, 4)))
    try:
        status, out, error = compare(*_arguments(servers), "--pages", "4", "--in-flight", "1")
    finally:
        ollama.set_faults()

    assert (status, error) == (0, "")
    assert _row(out, "requests  ") == ["4", "4"]
    assert _row(out, "  failed") == ["0", "0"]


def test_a_server_that_stays_busy_is_given_up_with_the_number_of_attempts(
    servers: Servers,
    compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREANNOTATION_FIRST_BACKOFF", "0.01")
    monkeypatch.setenv("PREANNOTATION_ATTEMPTS", "3")
    ollama, _ = servers
    ollama.set_faults(FaultRule(Fault.BUSY, probability=1.0))
    try:
        status, _, error = compare(*_arguments(servers), "--pages", "1")
    finally:
        ollama.set_faults()

    assert status == 1
    assert "did not serve the request (3 times: overloaded): try again" in error


def test_each_server_is_told_the_secrets_that_the_environment_has_for_it(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = answering(b'{"data": [{"id": "llama-70b", "owned_by": "vllm"}]}')
    with strangers() as start:
        named, other = start(by_path({"/v1/models": listed})), start(by_path({"/v1/models": listed}))
        monkeypatch.setenv("PREANNOTATION_SERVER_URLS", f"{named.url}/v1")
        monkeypatch.setenv("PREANNOTATION_SERVER_API_KEY", "hunter2")
        for stranger in (named, other):
            assert compare("--server", "openai", stranger.url, OPENAI_MODEL)[0] == 1

    assert all("Bearer hunter2" in request for request in named.got)
    assert other.got
    assert "hunter2" not in other.told()


def test_a_server_that_is_not_there_is_told_before_anything_is_asked(
    servers: Servers, compare: Compare
) -> None:
    ollama, _ = servers
    ollama.reset()

    status, out, error = compare(
        *("--server", "ollama", ollama.url, OLLAMA_MODEL),
        *("--server", "openai", "http://127.0.0.1:9", OPENAI_MODEL),
    )

    assert (status, out) == (1, "")
    assert "http://127.0.0.1:9 cannot be reached" in error
    assert not ollama.requests()


@pytest.mark.parametrize(
    ("kind", "url", "told"),
    [
        ("tgi", "http://gpu", "no kind 'tgi': write one of ollama, openai"),
        ("openai", "http://a b", "not an http(s) address"),
    ],
)
def test_what_is_no_server_is_one_line(compare: Compare, kind: str, url: str, told: str) -> None:
    status, out, error = compare("--server", kind, url, OPENAI_MODEL)

    assert (status, out) == (1, "")
    assert told in error
    assert error.count("\n") == 1
