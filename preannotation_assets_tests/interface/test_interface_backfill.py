"""Several datasets at once."""

from playwright.sync_api import Page
from shared.polling import wait_for

from interface.serving import Interface, Run


def test_a_backfill_makes_one_run_a_dataset_and_one_at_a_time_asks(
    interface: Interface, materialized: Run, page: Page
) -> None:
    datasets = ["vessels_ocr_1", "vessels_ocr_10"]
    interface.add_partition("vessels_ocr_10")
    before = interface.run_ids()
    page.goto(f"{interface.url}/asset-groups")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("dialog").get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()

    def runs_of_the_backfill() -> list[str] | None:
        found = [run.run_id for run in interface.runs() if run.run_id not in before]
        return found if len(found) >= len(datasets) else None

    started = wait_for(runs_of_the_backfill, "the runs of the backfill", 60)
    # A page that is open draws every change of the runs, which takes as much of a core as they do.
    page.goto("about:blank")
    ended = [interface.wait_for_end(run_id) for run_id in started]
    assert sorted(run.dataset for run in ended) == datasets
    assert {run.status for run in ended} == {"SUCCESS"}
    assert all("dagster/backfill" in run.tags for run in ended)
    first, second = sorted(ended, key=lambda run: run.started_at or 0)
    assert (first.ended_at or 0) <= (second.started_at or 0)
    assert interface.run_ids() == before | set(started)
