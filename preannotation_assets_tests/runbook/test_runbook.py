"""docs/runbook.md quotes what the program says, names commands that there are, and is whole."""

import contextlib
import io
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import pytest
from end_to_end.user_place import PAGES, make_place

from preannotation_assets.cli.parser import build_parser
from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import settings_of
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings
from runbook.pages import ROWS, Row, stands_for
from runbook.provoking import ON_SPARK, PROVOKED, Scene

CASES = {row.case: row for row in ROWS}


@pytest.fixture
def scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    with ExitStack() as stack:
        url = stack.enter_context(RunningSimulator(SimulatorSettings(slots=4))).url
        place = make_place(tmp_path / "user", {"plain": PAGES["plain"]}, url)
        yield Scene(place, stack, monkeypatch, lambda: "".join(capfd.readouterr()))


def assert_said(row: Row, output: str) -> None:
    lines = [line.removeprefix("preannotate: error: ") for line in output.splitlines()]
    assert any(stands_for(row.said, line) for line in lines), f"not {row.said!r}, but:\n{output}"


def test_every_row_is_provoked_and_there_are_enough() -> None:
    assert set(CASES) == {*PROVOKED, *chain.from_iterable(ON_SPARK.values())}
    assert len(CASES) == len(ROWS) >= 40


@pytest.mark.parametrize("case", PROVOKED)
@pytest.mark.server
def test_the_program_says_what_the_row_quotes(scene: Scene, case: str) -> None:
    assert_said(CASES[case], PROVOKED[case](scene))


@pytest.mark.parametrize("run", ON_SPARK, ids=lambda run: run.__name__)
@pytest.mark.spark
def test_a_run_says_what_the_rows_quote(
    scene: Scene, preannotate: Callable[..., tuple[int, str, str]], run: Callable[[Scene], str]
) -> None:
    output = run(scene)
    for case in ON_SPARK[run]:
        assert_said(CASES[case], output)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_a_row_advises_something_that_there_is(row: Row) -> None:
    assert row.commands, row.cure
    known = {name for setting in settings_of(Settings) for name in setting.variables}
    for name in re.findall(r"PREANNOTATION_\w+", row.cure):
        assert name in known or name in row.said, name
    for command in row.commands:
        if command.startswith("preannotate "):
            with contextlib.redirect_stderr(io.StringIO()):
                build_parser().parse_args(shlex.split(command.replace("...", "1"))[1:])


def test_a_line_stands_for_itself_only() -> None:
    assert stands_for("ADDRESS has N models", "http://gpu:1 has 3 models")
    assert not stands_for("ADDRESS has N models", "http://gpu:1 has 3 models: more")
    assert not stands_for("ADDRESS has N models", "gpu has 3 models")
    assert not stands_for("a.b", "axb")
