"""A run whose process is killed."""

import os
import re
import signal
from collections import Counter
from pathlib import Path

from shared.page_requests import page_requests
from shared.polling import wait_for
from shared.process_table import descendants, is_alive

from interface.serving import Interface
from preannotation_assets.simulator import RequestRecord

DATASET = "vessels_ocr_30"
PAGES = 24
FLUSH_SECONDS = 0.5
IN_FLIGHT = 2


def _process_of(interface: Interface, run_id: str) -> int | None:
    for message in interface.messages(run_id):
        started = re.search(r"Started process for run \(pid: (\d+)\)", message)
        if started:
            return int(started.group(1))
    return None


def _asked(interface: Interface, after: int) -> list[RequestRecord]:
    """What the model was asked, without the first requests."""
    return [record for record in page_requests(interface.simulator)[after:] if record.prompt_sha256]


def _has_started(interface: Interface, run_id: str) -> bool:
    return any(run.run_id == run_id and run.started_at for run in interface.runs())


def test_a_killed_run_is_retried_and_asks_nothing_twice_that_was_kept(interface: Interface) -> None:
    interface.warehouse.add(DATASET, PAGES)
    interface.add_partition(DATASET)
    answers = interface.root / "argilla" / "work" / DATASET / "answers"
    asking = {"max_in_flight": IN_FLIGHT, "flush_seconds": FLUSH_SECONDS}
    run_id = interface.launch(["pages", "chunks", "raw_model_outputs"], DATASET, {"model_server": asking})
    # It holds the pool from here on: what is asked is asked by it.
    wait_for(lambda: _has_started(interface, run_id), "the start of the run", 300)
    earlier = len(page_requests(interface.simulator))
    # So late that the first are older than two flushes.
    wait_for(lambda: _files(answers) >= 5, "answers on disk", 120)
    process = _process_of(interface, run_id)
    assert process is not None
    started = descendants(process)
    assert started, "no JVM"
    os.kill(process, signal.SIGKILL)
    before = _asked(interface, earlier)
    assert interface.wait_for_end(run_id).status == "FAILURE"
    retry = wait_for(lambda: interface.retry_of(run_id), "the retry", 60)
    wait_for(lambda: not any(map(is_alive, started)), "the end of the killed run's JVM and workers", 60)
    assert interface.wait_for_end(retry.run_id).status == "SUCCESS"
    asked = _asked(interface, earlier)

    # The sensor need not run it again.
    interface.warehouse.remove(DATASET)
    killed_at = max(record.arrived_at for record in before)
    prompts = Counter(record.prompt_sha256 for record in asked)
    assert len(prompts) == PAGES
    kept = {
        record.prompt_sha256
        for record in before
        if record.ended_at is not None and record.ended_at < killed_at - 2 * FLUSH_SECONDS
    }
    assert kept, "the run was killed before anything could be kept"
    assert not {prompt for prompt, times in prompts.items() if times > 1} & kept
    assert max(prompts.values()) <= 2


def _files(folder: Path) -> int:
    return len(list(folder.rglob("*.parquet")))
