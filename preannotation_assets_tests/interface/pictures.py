"""Makes the pictures of docs/interface.md, from made-up pages: ``python -m interface.pictures FOLDER``.

To be run in the folder of the tests, with the package on the path. Look at them before you keep them.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect
from shared.chromium import open_chromium

from interface.serving import Interface, serve_interface
from interface.warehouse_file import MARKER

DATASETS: Final = {"vessels_ocr_1": 12, "vessels_ocr_2": 8}
WAIT_MILLISECONDS: Final = 60_000


def main() -> None:
    """Runs the datasets and takes the pictures."""
    folder = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as work, serve_interface(Path(work)) as interface:
        for dataset, pages in DATASETS.items():
            _publish(interface, dataset, pages)
        with open_chromium("") as chromium:
            expect.set_options(timeout=WAIT_MILLISECONDS)
            page = chromium.new_page()
            page.set_default_timeout(WAIT_MILLISECONDS)
            _asset_graph(interface, page, folder / "asset-graph.png")
            _checks(interface, page, folder / "checks.png")


def _publish(interface: Interface, dataset: str, pages: int) -> None:
    interface.warehouse.add(dataset, pages)
    interface.add_partition(dataset)
    run = interface.wait_for_end(interface.launch_job("preannotate", dataset))
    if run.status != "SUCCESS":
        raise SystemExit(f"run {run.run_id} of {dataset}: {run.status}")


def _asset_graph(interface: Interface, page: Page, path: Path) -> None:
    """The graph with all assets materialized, and beside it the plots of ``suggestions``."""
    page.set_viewport_size({"width": 1800, "height": 800})
    page.goto(f"{interface.url}/asset-groups")
    page.get_by_text("suggestions", exact=True).locator("visible=true").first.click()
    plot = page.get_by_text("grounded_share", exact=True).locator("visible=true").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    plot.evaluate("element => element.scrollIntoView({block: 'start'})")
    _take(page, path)


def _checks(interface: Interface, page: Page, path: Path) -> None:
    """What the checks of the runs found."""
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto(f"{interface.url}/assets/suggestions?view=checks")
    page.get_by_text("grounded_quotes", exact=True).locator("visible=true").first.click()
    page.get_by_role("tab", name="Execution history").click()
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible()
    _take(page, path)


def _take(page: Page, path: Path) -> None:
    page.wait_for_timeout(2_000)
    if MARKER in page.locator("body").inner_text():
        raise SystemExit(f"{path.name} would show text of a page")
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
