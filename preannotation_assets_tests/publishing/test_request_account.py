"""What requests came to: each once, however many chunks it stands for."""

from pathlib import Path
from typing import Any

from shared.published_dataset import LAYOUT
from shared.raw_outputs import write_raw_outputs

from preannotation_assets.contracts import SALVAGED
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.publishing.request_account import RequestAccount, read_requests


def account_of(root: Path, *parts: list[dict[str, Any]]) -> RequestAccount:
    """The account of rows in parts; a row is what differs from an answered one."""
    store = open_store(StoreLocation(str(root)))
    return read_requests(store, LAYOUT, write_raw_outputs(store, LAYOUT, *parts))


def test_a_request_of_two_chunks_counts_once_also_over_parts(tmp_path: Path) -> None:
    a, b = {"request_key": "a"}, {"request_key": "b", "answer_tokens": 40, "run_id": "before"}
    found = account_of(tmp_path, [a, a], [b, a])
    assert found.tokens == 260
    assert found.latencies.counts == {2.0: 2}
    assert found.answer_tokens.counts == {20: 1, 40: 1}
    assert found.answered_by_run == {"now": 1, "before": 1}


def test_what_failed_is_no_answer_and_what_was_saved_of_it_no_request(tmp_path: Path) -> None:
    failed = {"request_key": "f", "status": "failed", "reason": "timeout", "answer_tokens": None}
    saved = {"request_key": "s", "reason": SALVAGED}
    found = account_of(tmp_path, [{"request_key": "a"}, failed, saved])
    assert (found.failed, found.answered_by_run.total(), len(found.latencies)) == (1, 1, 1)
    assert found.tokens == 240


def test_tokens_that_nobody_counted_are_unknown(tmp_path: Path) -> None:
    found = account_of(tmp_path, [{"request_key": "a", "prompt_tokens": None}])
    assert found.tokens is None
    assert account_of(tmp_path / "none").tokens is None
