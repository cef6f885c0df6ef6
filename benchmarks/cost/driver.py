"""What the driver of ``raw_model_outputs`` holds: ``python -m benchmarks.cost.driver [--pages N ...]``.

Made-up chunks and answers in a temporary lake, without texts that count; the driver's own steps, one after
the other, in a process for each size: nothing is asked and no task is done. Of each step the most resident
memory (VmHWM, which begins anew with it) over what was there before the first.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.asking.asking_plan import write_asking_shares
from preannotation_assets.asking.planning import survey_chunks, wanted_chunks
from preannotation_assets.contracts import ANSWERS, CHUNKS, FIRST_PASS
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.assets.raw_model_outputs.placing import place_part
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.lake import write_table
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate, request_key

_PAGES: Final = (100_000, 1_000_000)
_PART_ROWS: Final = 2_000
_ANSWERS_A_FILE: Final = 500
_TASKS: Final = 16
_LAYOUT: Final = DatasetLayout("vessels_ocr_1")
_SCHEME: Final = "name: b\nversion: 1\nlabels: [{name: port, definition: A port.}]"
_STATUS: Final = Path("/proc/self/status")

T = TypeVar("T")


def main() -> None:
    """Prints a line a step and size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost.driver")
    parser.add_argument("--pages", type=int, nargs="*", default=_PAGES, help="the sizes of the batches")
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    for pages in arguments.pages:
        if arguments.here:
            _measure(pages)
        else:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.cost.driver", "--here", "--pages", str(pages)], check=True
            )


def _measure(pages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="preannotation-driver-") as folder:
        storage, template = StorageResource(root=folder), _template()
        store = storage.open()
        chunks = _fill(folder, pages, template.fingerprint)
        base = _reset()
        batch = _step(
            pages, base, "chunks", lambda: OutputsBatch.read(store, storage, _LAYOUT, chunks, template, "run")
        )
        index = _step(pages, base, "index", lambda: AnswerIndex.read(store, _LAYOUT.answers))
        survey = _step(
            pages, base, "survey", lambda: survey_chunks(batch.rows(), template.fingerprint, index)
        )
        if survey.requests:
            raise RuntimeError("not every chunk has its answer")
        _step(
            pages,
            base,
            "where answers are",
            lambda: [
                place_part([(FIRST_PASS, batch)], part, index, part_key("plan/1", part))
                for part in range(len(batch.spool))
            ],
        )
        wanted = wanted_chunks(batch.rows(), template.fingerprint, AnswerIndex())
        _step(
            pages,
            base,
            "what to ask",
            lambda: write_asking_shares(store, "plan/2", wanted, chunks.estimated_tokens, _TASKS),
        )
        _step(pages, base, "compaction", lambda: compact_answers(store, _LAYOUT.answers))


def _step(pages: int, base: int, name: str, do: Callable[[], T]) -> T:
    _reset()
    began = time.process_time()
    result = do()
    grown = _resident("VmHWM") - base
    print(f"{pages:10} {name:20} {grown / 1e6:8.1f} MB {time.process_time() - began:8.1f} s CPU", flush=True)
    return result


def _reset() -> int:
    # Of proc(5): 5 resets the peak of the resident set.
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _resident(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _template() -> RequestTemplate:
    prompt = build_prompt(parse_label_scheme(_SCHEME, "benchmark"))
    return RequestTemplate("model", "d" * 64, prompt, ModelOptions(4096, 400))


def _fill(folder: str, pages: int, fingerprint: str) -> ChunksManifest:
    """Writes chunks and their answers, in a process of its own: what it held does not count."""
    parts = [min(_PART_ROWS, pages - first) for first in range(0, pages, _PART_ROWS)]
    child = os.fork()
    if child == 0:
        store = StorageResource(root=folder).open()
        hashes = iter(_hashes(pages))
        for part, rows in enumerate(parts):
            of_part = list(islice(hashes, rows))
            write_table(store, part_key(_LAYOUT.stage("chunks", "v"), part), _chunks(part, of_part))
            for first in range(0, rows, _ANSWERS_A_FILE):
                answers = _answers(part, of_part[first : first + _ANSWERS_A_FILE], fingerprint)
                write_table(
                    store, f"{_LAYOUT.answers}/r/{sha256(of_part[first].encode()).hexdigest()}", answers
                )
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the lake could not be filled")
    return ChunksManifest(
        dataset=_LAYOUT.dataset,
        version="v",
        pages_version="p",
        chunk_tokens=6_000,
        overlap_tokens=200,
        calibration=1.0,
        part_rows=parts,
        chunks=pages,
        estimated_tokens=500 * pages,
    )


def _hashes(pages: int) -> Iterator[str]:
    return (sha256(str(page).encode()).hexdigest() for page in range(pages))


def _chunks(part: int, hashes: list[str]) -> pa.Table:
    count = len(hashes)
    columns = {
        "doc_id": [f"vessels_ocr_1/{part:05}{row:04}" for row in range(count)],
        "page_num": [1] * count,
        "chunk_index": [0] * count,
        "start": [0] * count,
        "end": [2_000] * count,
        "text": ["-"] * count,
        "chunk_sha256": hashes,
        "estimated_tokens": [500] * count,
    }
    return pa.table(columns, schema=CHUNKS)


def _answers(part: int, hashes: list[str], fingerprint: str) -> pa.Table:
    """Answers of the size of one with a few spans."""
    count = len(hashes)
    known = {
        "request_key": [request_key(fingerprint, each) for each in hashes],
        "status": ["answered"] * count,
        "answer": ['{"spans":[{"port":"Hull"},{"port":"Kiel"}]}'] * count,
        "token_lengths": [[4] * 20] * count,
        "token_logprobs": [[-0.1] * 20] * count,
        "estimated_prompt_tokens": [2_500] * count,
        "attempts": [1] * count,
        "answered_at": [1_700_000_000_000_000 + 1_000 * (part * _PART_ROWS + row) for row in range(count)],
        "run_id": ["r"] * count,
    }
    return pa.table(
        [pa.array(known.get(column.name, [None] * count), column.type) for column in ANSWERS], schema=ANSWERS
    )


if __name__ == "__main__":
    main()
