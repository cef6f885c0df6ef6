"""A dataset that was materialized by clicking."""

import re

from playwright.sync_api import Page, expect

from interface.serving import Interface, Run
from interface.warehouse_file import MARKER
from preannotation_assets.defs.checks import _DESCRIPTIONS


def _open_partition(page: Page, interface: Interface, asset: str) -> None:
    page.goto(f"{interface.url}/assets/{asset}?view=partitions&partition=vessels_ocr_1")
    expect(page.get_by_text("Metadata", exact=True)).to_be_visible()


def _value(page: Page, label: str) -> str:
    """The value of a row of the metadata."""
    row = page.get_by_role("row").filter(has=page.get_by_text(label, exact=True)).first
    return row.get_by_role("cell").nth(1).inner_text().strip()


def test_the_run_succeeds(interface: Interface, materialized: Run, page: Page) -> None:
    assert materialized.status == "SUCCESS"
    assert materialized.dataset == "vessels_ocr_1"
    page.goto(f"{interface.url}/runs/{materialized.run_id}")
    expect(page.get_by_text("Success", exact=True)).to_be_visible()
    expect(page.get_by_text("partition: vessels_ocr_1")).to_be_visible()
    # Of all four assets: what is materialized by clicking is checked whole.
    expect(page.get_by_text("11 checks")).to_be_visible()


def test_only_the_pages_of_the_dataset_were_read(interface: Interface, materialized: Run, page: Page) -> None:
    _open_partition(page, interface, "pages")
    assert _value(page, "dagster/row_count") == "3"
    assert _value(page, "failed_pages") == "0"


def test_what_the_model_did_is_there_in_numbers(interface: Interface, materialized: Run, page: Page) -> None:
    _open_partition(page, interface, "raw_model_outputs")
    assert _value(page, "dagster/row_count") == "3"
    assert _value(page, "answered") == "3"
    assert _value(page, "failed") == "0"
    for latency in ("latency_p50_seconds", "latency_p95_seconds"):
        assert 0 < float(_value(page, latency)) < 60
    assert re.fullmatch(r"[0-9a-f]{64}", _value(page, "model_digest"))


def test_the_suggestions_are_shown_without_their_text(
    interface: Interface, materialized: Run, page: Page
) -> None:
    _open_partition(page, interface, "suggestions")
    assert int(_value(page, "dagster/row_count")) > 0
    assert _value(page, "pages_processed") == "3"
    preview = page.get_by_role("row").filter(has=page.get_by_text("preview", exact=True)).first
    expect(preview.get_by_text("vessels_ocr_1/registry", exact=True).first).to_be_visible()
    expect(preview.get_by_text("vessel_name", exact=True).first).to_be_visible()
    assert _value(page, "report").endswith("argilla/work/vessels_ocr_1/preview.html")
    assert MARKER not in page.locator("body").inner_text()


def test_the_report_of_a_run_that_was_clicked_shows_its_pages(
    interface: Interface, materialized: Run, page: Page
) -> None:
    (report,) = interface.root.glob("**/argilla/work/vessels_ocr_1/preview.html")
    page.goto(report.as_uri())
    expect(page.locator("#status")).to_contain_text("3 of 3 pages")
    expect(page.locator(".text").first).to_contain_text(MARKER)
    expect(page.locator(".facts")).to_contain_text(materialized.run_id)


def test_all_checks_are_green_and_of_this_dataset(
    interface: Interface, materialized: Run, page: Page
) -> None:
    page.goto(f"{interface.url}/assets/suggestions?view=checks")
    for check in _DESCRIPTIONS:
        page.get_by_text(check, exact=True).first.click()
        page.get_by_role("tab", name="Execution history").click()
        row = page.get_by_role("row").filter(has=page.get_by_text("vessels_ocr_1", exact=True)).last
        expect(row.get_by_text("Passed", exact=True)).to_be_visible()
