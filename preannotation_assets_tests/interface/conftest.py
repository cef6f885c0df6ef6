"""One Dagster and one browser for all tests of the interface."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from shared.chromium import WAIT_MILLISECONDS, open_chromium
from shared.polling import wait_for

from interface.serving import Interface, Run, serve_interface

# A name that its owner has made to point to this machine.
_HOST_RULES = "MAP evil.example 127.0.0.1"


@pytest.fixture(scope="package")
def interface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interface]:
    """Dagster with two small datasets; the name of one begins like the other's."""
    folder = tmp_path_factory.mktemp("interface")
    with serve_interface(folder) as serving:
        for dataset, pages in (("vessels_ocr_1", 3), ("vessels_ocr_10", 2)):
            serving.warehouse.add(dataset, pages)
        yield serving


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Of packages, not sessions: while it runs, nobody can call ``asyncio.run``."""
    with open_chromium(_HOST_RULES) as chromium:
        yield chromium


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One for all windows: Dagster's scripts are fetched and compiled once."""
    with browser.new_context(viewport={"width": 1900, "height": 1100}, reduced_motion="reduce") as context:
        context.set_default_timeout(WAIT_MILLISECONDS)
        yield context


@contextmanager
def _window(profile: BrowserContext, folder: Path) -> Iterator[Page]:
    """A window; how it looked last is kept in ``folder``."""
    window = profile.new_page()
    try:
        yield window
    finally:
        window.screenshot(path=folder / "last.png")
        window.close()


@pytest.fixture
def page(profile: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    """A window of the test's own."""
    with _window(profile, tmp_path) as window:
        yield window


@pytest.fixture(scope="package")
def materialized(
    interface: Interface, profile: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """vessels_ocr_1, added as a partition and materialized by clicking."""
    with _window(profile, tmp_path_factory.mktemp("materialized")) as window:
        window.goto(f"{interface.url}/asset-groups")
        window.get_by_role("button", name="Materialize all").click()
        window.get_by_role("button", name="Add a partition").click()
        question = window.get_by_role("dialog").filter(has_text="Partition name")
        question.get_by_role("textbox").fill("vessels_ocr_1")
        question.get_by_role("button", name="Save").click()
        expect(question).to_be_hidden()
        before = interface.run_ids()
        # The new partition is selected already, unless the dialog was still loading when it was opened.
        window.get_by_role("dialog").get_by_role("button", name="All", exact=True).click()
        window.get_by_role("button", name="Launch 1 run").click()
        started = wait_for(lambda: interface.run_ids() - before, "the run", 60)
    return interface.wait_for_end(started.pop())


@dataclass(frozen=True, slots=True)
class FailedRuns:
    """Runs that cannot succeed."""

    without_view: Run
    without_model: Run


@pytest.fixture(scope="package")
def failed_runs(interface: Interface, materialized: Run) -> FailedRuns:
    """A run on a database without the view, and one with a model that the server does not have."""
    with interface.warehouse.without_view():
        without_view = interface.wait_for_end(interface.launch(["pages"], "vessels_ocr_1", {}))
    nobody = {"model": "nobody:7b"}
    run_id = interface.launch(["raw_model_outputs"], "vessels_ocr_1", {"model_server": nobody})
    return FailedRuns(without_view, interface.wait_for_end(run_id))
