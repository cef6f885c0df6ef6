"""``preannotate try`` as a user runs it: a warehouse in a file, the stand-in over HTTP."""

import hashlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from shared.duckdb_rows import insert_rows
from shared.page_requests import page_requests
from shared.polling import wait_for
from shared.signal_handlers import kept_signal_handlers

from preannotation_assets import cli
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.demo.sample import sample_pages
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import Prompt, build_prompt
from preannotation_assets.lake import StoreLocation, open_store, write_table
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate, request_key
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)
from preannotation_assets.throttling.host_semaphore import HostSemaphore

DATASET = "vessels_ocr_7"
PAGE = 'M/V "ZEBRAQUARTZ STAR"  IMO 9666948. Arrived at Hamburg from Antwerp on 14 March 1957.\n'
RUN = "import sys; from preannotation_assets.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class User:
    """A folder with a warehouse, and the environment that points there."""

    folder: Path
    ollama: str
    more: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "OLLAMA_HOST": self.ollama,
            "PREANNOTATION_DATABASE": str(self.folder / "warehouse.duckdb"),
            "PREANNOTATION_ROOT": str(self.folder / "lake"),
            "PYTHONPATH": str(Path(cli.__file__).parents[2]),
            **self.more,
        }

    def files(self) -> list[str]:
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*"))


def make_user(folder: Path, pages: Mapping[tuple[str, int], str], ollama: str) -> User:
    rows = [
        (doc_id, number, text, hashlib.sha256(text.encode()).hexdigest())
        for (doc_id, number), text in pages.items()
    ]
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
        insert_rows(connection, "p", rows)
    return User(folder, ollama)


PAGES = {(f"{DATASET}/{number}", 1): f"Page {number}.\n{PAGE}" for number in range(20)}


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator(SimulatorSettings(slots=4)) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, simulator: RunningSimulator) -> User:
    simulator.reset()
    return make_user(tmp_path, PAGES, simulator.url)


Try = Callable[..., tuple[int, str, str]]


@pytest.fixture
def preannotate_try(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Try]:
    """The command in this process: exit status, standard output, standard error."""

    def run(user: User, *arguments: str, **environment: str) -> tuple[int, str, str]:
        monkeypatch.chdir(user.folder)
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        for name, value in {**user.environment(), **environment}.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        status = cli.main(["try", *arguments])
        return status, *capsys.readouterr()

    with kept_signal_handlers():
        yield run


def asked(simulator: RunningSimulator) -> int:
    return len(page_requests(simulator))


def test_a_few_pages_are_shown_and_nothing_is_kept(
    user: User, simulator: RunningSimulator, preannotate_try: Try
) -> None:
    before = user.files()
    status, said, problems = preannotate_try(user, DATASET, "--pages", "3")
    assert (status, problems) == (0, "")
    assert asked(simulator) == 3
    # The constant part was read before, once.
    assert len(simulator.requests()) == 1 + 1 + 3
    assert "prefix cache of http" in said
    assert simulator.summary().peak_in_flight == 1
    assert user.files() == before
    assert "\x1b" not in said
    assert said.count("── page ") == 3
    assert said.count("[vessel_name: ZEBRAQUARTZ STAR]") == 3
    assert said.count("answer · ") == 3
    assert "20 pages, 20 requests" in said
    assert "0 answered already, 20 to ask" in said
    assert re.search(r"slot time  \d.* \(.* 90 % interval of 3 pages\)", said)
    assert re.search(r"wall time  .* on 1 server with 4 requests in flight", said)
    assert "GPU time " in said
    # The same pages the next time.
    again = preannotate_try(user, DATASET, "--pages", "3")[1]
    assert re.findall("── page .*", again) == re.findall("── page .*", said)


def default_prompt() -> Prompt:
    scheme = Path(cli.__file__).parents[1] / "label_schemes" / "vessels.yaml"
    return build_prompt(parse_label_scheme(scheme.read_text("utf-8"), "vessels"))


def test_the_exact_prompt_is_what_is_sent(user: User, preannotate_try: Try) -> None:
    prompt = default_prompt()
    doc_id, text = next((doc_id, text) for (doc_id, _), text in PAGES.items())
    said = preannotate_try(user, DATASET, "--doc-id", doc_id, "--page", "1", "--prompt")[1]
    for message in prompt.messages(text):
        assert f"{message.role}:\n{message.content}\n" in said
    assert "these pages were chosen" in said
    short = preannotate_try(user, DATASET, "--doc-id", doc_id)[1]
    assert prompt.constant_messages[0].content not in short
    assert f"{prompt.constant_tokens:,} tokens" in short


def test_a_text_file_needs_neither_warehouse_nor_lake(
    user: User, simulator: RunningSimulator, preannotate_try: Try
) -> None:
    page = user.folder / "page.txt"
    page.write_bytes(b"\x1b]0;owned\x07 Arrived at Hamburg\r\n from Antwerp.\r\n")
    (user.folder / "warehouse.duckdb").unlink()
    status, said, problems = preannotate_try(user, "--text", "page.txt")
    assert (status, problems) == (0, "")
    assert asked(simulator) == 1
    assert "␛]0;owned␇" in said
    assert "\x1b" not in said
    assert "the whole batch" not in said


def test_the_model_s_own_word_is_shown_as_such(user: User, preannotate_try: Try) -> None:
    page = user.folder / "page.txt"
    page.write_text(PAGE, "utf-8")
    with RunningSimulator(SimulatorSettings(version="0.12.10")) as old:
        asked_of = {"OLLAMA_HOST": old.url, "PREANNOTATION_SELF_REPORTED": "yes"}
        said = preannotate_try(user, "--text", "page.txt", **asked_of)[1]
        plain = preannotate_try(
            user, "--text", "page.txt", **(asked_of | {"PREANNOTATION_SELF_REPORTED": ""})
        )
    assert "prompt spans-2-self-" in said
    assert re.search(r'\["ZEBRAQUARTZ STAR",[0-9]\]', said)
    assert re.search(r"0\.95 .*ZEBRAQUARTZ STAR.* exact, self-reported 9\n", said)
    assert "self" not in plain[1]
    assert re.search(r" \? .*ZEBRAQUARTZ STAR.* exact\n", plain[1])
    # Where tokens have scores, the digit is asked for and not used.
    scored = preannotate_try(user, "--text", "page.txt", PREANNOTATION_SELF_REPORTED="yes")[1]
    assert "prompt spans-2-self-" in scored
    assert "self-reported" not in scored


def in_a_terminal(user: User, arguments: Sequence[str]) -> str:
    """What the command writes where standard output is a terminal."""
    shown, hidden = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "try", *arguments],
        env=user.environment() | {"TERM": "xterm-256color"},
        cwd=user.folder,
        stdout=hidden,
        stderr=hidden,
    ) as process:
        os.close(hidden)
        parts = []
        while True:
            try:
                part = os.read(shown, 65536)
            except OSError:  # EIO: the other end is closed.
                break
            if not part:
                break
            parts.append(part)
        assert process.wait(60) == 0
    os.close(shown)
    return b"".join(parts).decode()


def test_a_terminal_gets_colours(user: User) -> None:
    said = in_a_terminal(user, [DATASET, "--pages", "1"])
    assert "\x1b[38;5;16;48;5;" in said
    assert "‹port›" in said


def test_the_sample_batch_is_clear_in_100_columns(
    tmp_path: Path, simulator: RunningSimulator, preannotate_try: Try
) -> None:
    """Only what is a page's or a model's may be longer."""
    pages = {
        (page.doc_id.replace("vessels_ocr_demo", DATASET), page.page_num): page.text
        for page in sample_pages()
    }
    status, said, _ = preannotate_try(make_user(tmp_path, pages, simulator.url), DATASET, "--pages", "20")
    assert status == 0
    own = re.compile(r"  [01]\.\d\d  |──|answer( \d+ of \d+)?[, ]|\w+ time  |\d+ rejected|  \w+ {2,}“")
    rows = [line for line in said.splitlines() if own.match(line)]
    assert len(rows) > 60
    assert [line for line in rows if len(line) > 100] == []


def test_what_the_journal_has_is_not_projected(user: User, preannotate_try: Try) -> None:
    """Rows of the answer store stand for requests that a run would not make."""
    before = preannotate_try(user, DATASET, "--pages", "2")[1]
    assert "0 answered already, 20 to ask" in before
    keep_answers(user, [text for (_, _), text in list(PAGES.items())[:8]])
    after = preannotate_try(user, DATASET, "--pages", "2")[1]
    assert "8 answered already, 12 to ask" in after


def keep_answers(user: User, texts: Sequence[str]) -> None:
    prompt = default_prompt()
    digest = SimulatedModel("llama3.3:70b").digest()
    template = RequestTemplate("llama3.3:70b", digest, prompt, ModelOptions(12288, 3072))
    rows = [
        {
            "request_key": request_key(template.fingerprint, text_sha256(text)),
            "status": "answered",
            "answer": '{"spans": []}',
            "estimated_prompt_tokens": 1,
            "attempts": 1,
            "answered_at": datetime.now(UTC),
            "run_id": "r",
        }
        for text in texts
    ]
    store = open_store(StoreLocation(str(user.folder / "lake"), None, None))
    key = f"argilla/work/{DATASET}/answers/r/1.parquet"
    write_table(store, key, pa.Table.from_pylist(rows, schema=ANSWERS))


WRONG = {
    "unknown dataset": (["vessels_ocr_8"], {}, "no pages of vessels_ocr_8"),
    "impossible name": (["../x"], {}, "cannot be a dataset name"),
    "no such document": ([DATASET, "--doc-id", "x"], {}, "check --doc-id"),
    "missing database": ([DATASET], {"PREANNOTATION_DATABASE": "none.duckdb"}, "no DuckDB file"),
    "no model": ([DATASET], {"PREANNOTATION_MODEL": "none:1b"}, "ollama pull none:1b"),
    "no server": ([DATASET], {"OLLAMA_HOST": "127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
    "too long chunks": ([DATASET], {"PREANNOTATION_CHUNK_TOKENS": "60000"}, "PREANNOTATION_NUM_CTX"),
    "overlap": ([DATASET], {"PREANNOTATION_OVERLAP_TOKENS": "9000"}, "PREANNOTATION_OVERLAP_TOKENS"),
    "no file": (["--text", "none.txt"], {}, "none.txt cannot be read"),
    "no text": (["--text", "warehouse.duckdb"], {}, "warehouse.duckdb"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(
    user: User, simulator: RunningSimulator, preannotate_try: Try, name: str
) -> None:
    arguments, environment, named = WRONG[name]
    status, out, err = preannotate_try(user, *arguments, **environment)
    assert status == 1
    assert err.startswith("preannotate: error: ")
    assert err.count("\n") == 1
    assert named in err
    assert "ZEBRAQUARTZ" not in out + err
    assert asked(simulator) == 0


@pytest.mark.parametrize("arguments", [[], [DATASET, "--text", "x"], [DATASET, "--pages", "0"]])
def test_bad_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["try", *arguments])
    assert raised.value.code == 2


@pytest.mark.parametrize(
    ("rule", "out", "err"),
    [
        # The first request loads the model.
        (FaultRule(Fault.BUSY, requests=tuple(range(2, 9))), "── prompt", "did not serve the request"),
        (
            FaultRule(Fault.INVALID_JSON, probability=1.0),
            "no usable answer",
            "none of 2 requests was answered",
        ),
    ],
)
def test_a_server_that_fails_is_told_and_quotes_nothing(
    tmp_path: Path, preannotate_try: Try, rule: FaultRule, out: str, err: str
) -> None:
    with RunningSimulator(SimulatorSettings(faults=(rule,))) as faulty:
        user = make_user(tmp_path, PAGES, faulty.url)
        user.more["PREANNOTATION_FIRST_BACKOFF"] = "0.01"
        status, said, problem = preannotate_try(user, DATASET, "--pages", "2")
    assert status == 1
    assert out in said
    assert err in problem
    assert problem.count("\n") == 1
    assert "ZEBRAQUARTZ" not in problem


def test_a_reader_that_has_seen_enough_gets_no_traceback(user: User) -> None:
    command = [sys.executable, "-c", RUN, "try", DATASET, "--pages", "2"]
    with subprocess.Popen(
        command, env=user.environment(), cwd=user.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_a_slot_is_waited_for_where_runs_share_the_cap(user: User, simulator: RunningSimulator) -> None:
    """Another run holds the only slot until it is seen that nobody asks."""
    home = user.folder / "dagster"
    folder = home / "storage" / "requests_in_flight"
    folder.mkdir(parents=True)
    user.more.update(DAGSTER_HOME=str(home), PREANNOTATION_MAX_IN_FLIGHT="1")
    other = HostSemaphore(folder, simulator.url, 1)
    assert other.take()
    command = [sys.executable, "-c", RUN, "try", DATASET, "--pages", "1"]
    with subprocess.Popen(
        command, env=user.environment(), cwd=user.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        wait_for(lambda: any(folder.rglob("*.wanting")))
        assert asked(simulator) == 0
        other.give_back()
        assert process.wait(60) == 0
    other.close()
    assert asked(simulator) == 1


def test_it_starts_without_dagster_and_spark() -> None:
    code = "import sys, preannotation_assets.trying.trial\nprint(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    for module in ("'pyspark'", "'dagster'", "'duckdb'"):
        assert module not in done.stdout


@pytest.mark.parametrize(
    ("invent", "pages", "said"),
    [
        (0.0, 5, "warning: 5 of 5 pages came back empty"),
        (1.0, 3, "warning: of 3 of 3 pages the model named something, and no quote"),
        (0.0, 2, None),
    ],
)
def test_a_model_that_marks_nothing_is_told(
    tmp_path: Path, preannotate_try: Try, invent: float, pages: int, said: str | None
) -> None:
    habits = replace(HabitRates.NONE, omit=1.0, invent=invent)
    with RunningSimulator(SimulatorSettings(slots=4, habits=habits)) as server:
        user = make_user(tmp_path, PAGES, server.url)
        status, out, _ = preannotate_try(user, DATASET, "--pages", str(pages))
    assert status == 0
    told = [line for line in out.splitlines() if line.startswith("warning:")]
    assert len(told) == (said is not None)
    assert all(line.startswith(str(said)) for line in told)
