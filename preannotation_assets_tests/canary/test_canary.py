"""No page text and no secret is left anywhere but in the lake, whatever goes wrong and whoever echoes.

One process does everything that a user may do, over servers with every fault there is and over servers that
repeat what they were sent (``plan.py``). Then all that was left behind is searched. ``test_searching.py``
shows that the search finds what it looks for.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from canary import commands
from canary.echoing import collector
from canary.markers import PAGE_MARKERS, SECRET_MARKERS
from canary.plan import Canary, Plan, make_folder
from canary.searching import Search

GOES_WELL = [
    "verify", "preview", "try", "compare", "sensor",
    "run vessels_ocr_1", "run vessels_ocr_2", "run vessels_ocr_3", "run vessels_ocr_4",
]  # fmt: skip
FAILS = [
    "verify damaged", "labels", "run cast", "run error", "run without pages", "run without lease",
    "run without raw_model_outputs", "run without suggestions.parquet",
]  # fmt: skip


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    canary = make_folder(tmp_path_factory.mktemp("canary"))
    with ExitStack() as stack:
        metrics_url, canary.metrics = stack.enter_context(collector())
        Plan(canary, stack).everything()
        steps = canary.folder / "plan.json"
        steps.write_text(json.dumps(canary.steps))
        with canary.errors.open("w") as errors:
            done = subprocess.run(
                [sys.executable, commands.__file__, str(steps)],
                env=canary.environment(metrics_url),
                cwd=canary.left_behind / "home",
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                timeout=500,
                check=False,
            )
        assert done.returncode == 0, canary.errors.read_text()[-3000:]
        yield canary


def test_what_was_done_went_as_it_was_meant(canary: Canary) -> None:
    """Or there would be nothing to find."""
    assert {step: canary.status(step) for step in GOES_WELL} == dict.fromkeys(GOES_WELL, 0)
    assert {step: canary.status(step) for step in FAILS} == dict.fromkeys(FAILS, 1)
    assert canary.status("checks") > 0
    assert [step for step, count in canary.echoes.items() if not count] == []
    assert Search(PAGE_MARKERS).in_folder(canary.lake)
    assert canary.metrics
    assert any(file.stat().st_size for file in (canary.left_behind / "spark").rglob("*") if file.is_file())
    assert any((canary.left_behind / "dagster").rglob("*.err"))


def test_no_page_text_is_left_outside_of_the_lake(canary: Canary) -> None:
    # `try` shows the pages it asks about; what it prints is the user's own.
    printed = canary.left_behind.glob("output/*.txt")
    shown = [file for file in printed if " try" in file.name or " preflight" in file.name]
    assert Search(PAGE_MARKERS).in_folder(canary.left_behind, shown) == {}


def test_no_secret_is_left_anywhere(canary: Canary) -> None:
    assert Search(SECRET_MARKERS).in_folder(canary.folder) == {}


def test_metrics_tell_of_no_page_and_no_secret(canary: Canary) -> None:
    search = Search((*PAGE_MARKERS, *SECRET_MARKERS))
    assert set().union(*map(search.in_bytes, canary.metrics)) == set()


def test_nothing_of_ours_is_left_in_the_folder_for_temporary_files(canary: Canary) -> None:
    assert [
        path.name for path in (canary.left_behind / "tmp").iterdir() if "preannotation" in path.name
    ] == []
