"""What requests came to: each once, however many chunks it stands for."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from shared.published_dataset import LAYOUT

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS, SALVAGED
from preannotation_assets.lake import StoreLocation, open_store, write_table
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import RawModelOutputsManifest
from preannotation_assets.publishing.request_account import RequestAccount, read_requests


def account_of(root: Path, *parts: list[dict[str, Any]]) -> RequestAccount:
    """The account of rows in parts; a row is what differs from an answered one."""
    plain = dict.fromkeys(RAW_MODEL_OUTPUTS.names) | {
        "doc_id": "d", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 1,
        "status": "answered", "estimated_prompt_tokens": 1, "attempts": 1, "answered_at": 1, "run_id": "now",
        "prompt_tokens": 100, "answer_tokens": 20, "latency_seconds": 2.0,
    }  # fmt: skip
    store = open_store(StoreLocation(str(root)))
    for number, rows in enumerate(parts):
        table = pa.Table.from_pylist([plain | row for row in rows], schema=RAW_MODEL_OUTPUTS)
        write_table(store, part_key(LAYOUT.stage("raw_model_outputs", "o"), number), table)
    outputs = RawModelOutputsManifest(
        dataset=LAYOUT.dataset, version="o", pages_version="v1", chunks_version="c", model="m",
        model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f",
        part_rows=[len(rows) for rows in parts], answered=1, failed=0,
    )  # fmt: skip
    return read_requests(store, LAYOUT, outputs)


def test_a_request_of_two_chunks_counts_once_also_over_parts(tmp_path: Path) -> None:
    a, b = {"request_key": "a"}, {"request_key": "b", "answer_tokens": 40, "run_id": "before"}
    found = account_of(tmp_path, [a, a], [b, a])
    assert found.tokens == 260
    assert found.latencies == [2.0, 2.0]
    assert found.answer_tokens == [20, 40]
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
