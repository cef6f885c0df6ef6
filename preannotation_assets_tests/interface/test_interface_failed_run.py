"""A run that cannot succeed says why."""

from pathlib import Path

import duckdb
from playwright.sync_api import Page, expect

from interface.serving import Interface, Run


def _shown_failure(interface: Interface, page: Page, run_id: str) -> str:
    assert interface.wait_for_end(run_id).status == "FAILURE"
    page.goto(f"{interface.url}/runs/{run_id}")
    expect(page.get_by_text("Failure", exact=True)).to_be_visible()
    cause = page.get_by_text("The above exception was caused by").first
    expect(cause).to_be_visible()
    # What is visible without "View full message": our line comes before the stack trace.
    return page.locator("body").inner_text().split("The above exception was caused by")[1].split("Stack")[0]


def test_a_missing_view_is_named(interface: Interface, materialized: Run, page: Page, tmp_path: Path) -> None:
    database = tmp_path / "empty.duckdb"
    duckdb.connect(str(database)).close()
    run_id = interface.launch(["pages"], "vessels_ocr_1", {"warehouse": {"database": str(database)}})
    shown = _shown_failure(interface, page, run_id)
    assert "WarehouseError: there is no usable view md_raw_ocr.main.vw_argilla_pages: create it" in shown


def test_a_missing_ollama_is_named_and_not_retried(
    interface: Interface, materialized: Run, page: Page
) -> None:
    nobody = {"endpoints": ["http://127.0.0.1:9"], "model": "llama3.3:70b"}
    run_id = interface.launch(["raw_model_outputs"], "vessels_ocr_1", {"ollama": nobody})
    shown = _shown_failure(interface, page, run_id)
    assert "EndpointError: http://127.0.0.1:9 cannot be reached" in shown
    assert "start Ollama there" in shown
    expect(page.get_by_text("Not retrying run since it failed due to an asset or op failure")).to_be_visible()
    assert not any(run.parent == run_id for run in interface.runs())
