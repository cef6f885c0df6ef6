"""The sensor, switched on in the interface."""

import json

import pytest
from playwright.sync_api import Locator, Page, expect

from interface.polling import wait_for
from interface.serving import Interface, Tick

NEW = ("vessels_ocr_2", "vessels_ocr_20")
_TICK_SECONDS = 90


def _latest_tick(interface: Interface, after: float) -> Tick | None:
    return next((tick for tick in interface.ticks() if tick.timestamp > after), None)


def _open_sensor(interface: Interface, page: Page) -> None:
    page.goto(f"{interface.url}/locations/preannotation_assets/sensors/new_datasets")
    expect(page.get_by_role("row", name="Running")).to_be_visible()


def _preview_tick(page: Page) -> Locator:
    page.get_by_role("button", name="Preview tick result").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    return page.get_by_role("dialog")


@pytest.fixture(scope="module")
def first_tick(interface: Interface, browser: object) -> None:
    """See the test."""


def test_the_sensor_follows_the_warehouse(interface: Interface, page: Page) -> None:
    for dataset in NEW:
        interface.warehouse.add(dataset, 1)
    _open_sensor(interface, page)
    page.get_by_role("row", name="Running").locator("label").click()

    # New datasets become partitions, and get one run each.
    first = wait_for(lambda: _latest_tick(interface, 0), "the first tick", _TICK_SECONDS)
    assert first.status == "SUCCESS"
    assert set(NEW) <= set(interface.partitions())
    requested = [run for run in interface.runs() if run.run_id in first.run_ids]
    known = json.loads(first.cursor or "{}")
    assert sorted(run.dataset for run in requested) == sorted(known)
    assert {"vessels_ocr_1", "vessels_ocr_10", *NEW} <= set(known)
    before = interface.run_ids()

    # Nothing has changed, so nothing is requested.
    assert "none of them new or changed" in _preview_tick(page).inner_text()
    page.get_by_role("button", name="Close").click()

    for run_id in first.run_ids:
        assert interface.wait_for_end(run_id).status == "SUCCESS"

    # A warehouse that is not there is not an empty one.
    with interface.warehouse.missing():
        skipped = wait_for(
            lambda: _latest_tick(interface, wait_for(lambda: interface.ticks(), "a tick", 1)[0].timestamp),
            "a tick without the warehouse",
            _TICK_SECONDS,
        )
    assert skipped.status == "SKIPPED"
    assert "there is no DuckDB file" in (skipped.skip_reason or "")
    assert json.loads(skipped.cursor or "{}") == known
    assert interface.run_ids() == before
