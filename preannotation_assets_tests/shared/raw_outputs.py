"""Rows of raw_model_outputs in a lake."""

from typing import Any

import pyarrow as pa

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.lake import ObjectStore, write_table
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import RawModelOutputsManifest

__all__ = ["write_raw_outputs"]


def write_raw_outputs(
    store: ObjectStore, layout: DatasetLayout, *parts: list[dict[str, Any]]
) -> RawModelOutputsManifest:
    """Writes the rows, of which each is what differs from an answered one, and returns their manifest."""
    plain = dict.fromkeys(RAW_MODEL_OUTPUTS.names) | {
        "doc_id": "d", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 1,
        "status": "answered", "estimated_prompt_tokens": 1, "attempts": 1, "answered_at": 1, "run_id": "now",
        "prompt_tokens": 100, "answer_tokens": 20, "latency_seconds": 2.0,
    }  # fmt: skip
    for number, rows in enumerate(parts):
        table = pa.Table.from_pylist([plain | row for row in rows], schema=RAW_MODEL_OUTPUTS)
        write_table(store, part_key(layout.stage("raw_model_outputs", "o"), number), table)
    return RawModelOutputsManifest(
        dataset=layout.dataset, version="o", pages_version="v1", chunks_version="c", model="m",
        model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f",
        part_rows=[len(rows) for rows in parts], answered=1, failed=0,
    )  # fmt: skip
