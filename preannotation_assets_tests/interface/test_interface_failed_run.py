"""A run that cannot succeed says why."""

from playwright.sync_api import Page, expect

from interface.conftest import FailedRuns
from interface.serving import Interface, Run


def _shown_failure(interface: Interface, page: Page, run: Run) -> str:
    """What is visible between the first red line and the stack trace."""
    assert run.status == "FAILURE"
    page.goto(f"{interface.url}/runs/{run.run_id}")
    expect(page.get_by_text("Failure", exact=True)).to_be_visible()
    expect(page.get_by_text("The above exception was caused by").first).to_be_visible()
    return page.locator("body").inner_text().split("The above exception was caused by")[1].split("Stack")[0]


def test_a_missing_view_is_named(interface: Interface, failed_runs: FailedRuns, page: Page) -> None:
    shown = _shown_failure(interface, page, failed_runs.without_view)
    assert "WarehouseError: there is no usable view md_raw_ocr.main.vw_argilla_pages: create it" in shown


def test_a_missing_model_is_named(interface: Interface, failed_runs: FailedRuns, page: Page) -> None:
    shown = _shown_failure(interface, page, failed_runs.without_model)
    assert f"ModelError: {interface.simulator.url} has no model nobody:7b: run ollama pull nobody:7b" in shown


def test_a_run_that_failed_with_an_error_is_not_retried(
    interface: Interface, failed_runs: FailedRuns, page: Page
) -> None:
    page.goto(f"{interface.url}/runs/{failed_runs.without_model.run_id}")
    expect(page.get_by_text("Not retrying run since it failed due to an asset or op failure")).to_be_visible()
    ids = {failed_runs.without_view.run_id, failed_runs.without_model.run_id}
    assert not any(run.parent in ids for run in interface.runs())
