"""The sensor, switched on in the interface."""

import re

from playwright.sync_api import Locator, Page, expect
from shared.polling import wait_for

from interface.serving import Interface, Run, Tick

NEW = "vessels_ocr_2"
# The sensor is evaluated every five seconds, or later where all cores are busy.
TICK_SECONDS = 90
NO_WAREHOUSE = "there is no DuckDB file"
SENSOR = "/locations/preannotation_assets/sensors/new_datasets"


def _first_tick(interface: Interface) -> Tick | None:
    return next(reversed(interface.ticks()), None)


def _tick_without_warehouse(interface: Interface) -> Tick | None:
    return next((tick for tick in interface.ticks() if NO_WAREHOUSE in (tick.skip_reason or "")), None)


def _preview_tick(interface: Interface, page: Page) -> Locator:
    """What the sensor would do now."""
    # The dialog shows its last result again where the page has not been loaded since.
    page.goto(f"{interface.url}{SENSOR}")
    page.get_by_role("button", name="Preview tick result").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Try again")).to_be_visible()
    return page.get_by_role("dialog")


def test_the_sensor_follows_the_warehouse(interface: Interface, materialized: Run, page: Page) -> None:
    interface.warehouse.add(NEW, 1)
    page.goto(f"{interface.url}{SENSOR}")
    page.get_by_role("row", name="Running").locator("label").click()

    # A new dataset becomes a partition, and what is not published gets a run.
    first = wait_for(lambda: _first_tick(interface), "the first tick", TICK_SECONDS)
    # A page that is open draws every change of the runs, which takes as much of a core as they do.
    page.goto("about:blank")
    assert first.status == "SUCCESS"
    assert NEW in interface.partitions()
    requested = [interface.wait_for_end(run_id) for run_id in first.run_ids]
    assert NEW in {run.dataset for run in requested}
    # It was published before the sensor was switched on.
    assert materialized.dataset not in {run.dataset for run in requested}
    assert {run.status for run in requested} == {"SUCCESS"}
    before = interface.run_ids()

    # A warehouse that is not there is not an empty one.
    with interface.warehouse.missing():
        skipped = wait_for(lambda: _tick_without_warehouse(interface), "a tick", TICK_SECONDS)
    assert skipped.status == "SKIPPED"
    # What it would do from here on is looked at in its page.
    interface.stop_sensor()

    # It is back as it was: nothing to do.
    expect(_preview_tick(interface, page)).to_contain_text(re.compile(r"(\d+) datasets: \1 published"))
    assert interface.run_ids() == before

    # A changed page: one run, which asks about this page only.
    asked = interface.simulator.summary().requests
    interface.warehouse.change("vessels_ocr_1", 2)
    _preview_tick(interface, page).get_by_role("button", name="commit tick result").click()
    started = wait_for(lambda: interface.run_ids() - before, "the run for the changed page", 30)
    page.goto("about:blank")
    run = interface.wait_for_end(started.pop())
    assert (run.dataset, run.status) == ("vessels_ocr_1", "SUCCESS")
    assert interface.run_ids() == before | {run.run_id}
    assert interface.simulator.summary().requests == asked + 1
