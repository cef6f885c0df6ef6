"""What the driver of ``raw_model_outputs`` holds: ``python -m benchmarks.cost.driver [--pages N ...]``.

Made-up chunks and answers in a temporary lake, without texts that count; the driver's own steps, one after
the other, in a process for each size: nothing is asked and no task is done. Of each step the most resident
memory (VmHWM, which begins anew with it) over what was there before the first.
"""

import tempfile
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.cost.parts import PART_ROWS, part_rows
from benchmarks.cost.steps import Steps, in_another_process, measure_sizes
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
_ANSWERS_A_FILE: Final = 500
_TASKS: Final = 16
_TOKENS: Final = 89
_LAYOUT: Final = DatasetLayout("vessels_ocr_1")
_SCHEME: Final = "name: b\nversion: 1\nlabels: [{name: port, definition: A port.}]"


def main() -> None:
    """Prints a line a step and size."""
    measure_sizes("benchmarks.cost.driver", "pages", _PAGES, _measure)


def _measure(pages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="preannotation-driver-") as folder:
        storage, template = StorageResource(root=folder), _template()
        store = storage.open()
        in_another_process(lambda: _fill(folder, pages, template.fingerprint))
        chunks, steps = _manifest(pages), Steps(pages)
        batch = steps.do(
            "chunks", lambda: OutputsBatch.read(store, storage, _LAYOUT, chunks, template, "run")
        )
        index = steps.do("index", lambda: AnswerIndex.read(store, _LAYOUT.answers))
        survey = steps.do("survey", lambda: survey_chunks(batch.rows(), template.fingerprint, index))
        if survey.requests:
            raise RuntimeError("not every chunk has its answer")
        steps.do(
            "where answers are",
            lambda: [
                place_part([(FIRST_PASS, batch)], part, index, part_key("plan/1", part))
                for part in range(len(batch.spool))
            ],
        )
        wanted = wanted_chunks(batch.rows(), template.fingerprint, AnswerIndex())
        steps.do(
            "what to ask",
            lambda: write_asking_shares(store, "plan/2", wanted, chunks.estimated_tokens, _TASKS),
        )
        steps.do("compaction", lambda: compact_answers(store, _LAYOUT.answers))


def _template() -> RequestTemplate:
    prompt = build_prompt(parse_label_scheme(_SCHEME, "benchmark"))
    return RequestTemplate("model", "d" * 64, prompt, ModelOptions(4096, 400))


def _fill(folder: str, pages: int, fingerprint: str) -> None:
    """Writes chunks and their answers."""
    store, hashes = StorageResource(root=folder).open(), _hashes(pages)
    for part, rows in enumerate(part_rows(pages)):
        of_part = list(islice(hashes, rows))
        write_table(store, part_key(_LAYOUT.stage("chunks", "v"), part), _chunks(part, of_part))
        for first in range(0, rows, _ANSWERS_A_FILE):
            answers = _answers(part, of_part[first : first + _ANSWERS_A_FILE], fingerprint)
            write_table(store, f"{_LAYOUT.answers}/r/{sha256(of_part[first].encode()).hexdigest()}", answers)


def _manifest(pages: int) -> ChunksManifest:
    return ChunksManifest(
        dataset=_LAYOUT.dataset,
        version="v",
        pages_version="p",
        chunk_tokens=6_000,
        overlap_tokens=200,
        calibration=1.0,
        part_rows=part_rows(pages),
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
    """Answers of about as many bytes of Parquet as ``benchmarks.simulation --sizes`` finds."""
    count, chance = len(hashes), np.random.default_rng(part)
    known = {
        "request_key": [request_key(fingerprint, each) for each in hashes],
        "status": ["answered"] * count,
        "answer": [f'{{"spans":[{{"port":"{each[:40]}"}},{{"port":"Kiel"}}]}}' for each in hashes],
        "token_lengths": _lists(chance.integers(1, 8, count * _TOKENS)),
        "token_logprobs": _lists(-chance.integers(0, 2**16, count * _TOKENS) / 2**12),
        "estimated_prompt_tokens": [2_500] * count,
        "attempts": [1] * count,
        "answered_at": [1_700_000_000_000_000 + 1_000 * (part * PART_ROWS + row) for row in range(count)],
        "run_id": ["r"] * count,
    }
    columns = [known.get(column.name, [None] * count) for column in ANSWERS]
    arrays = [pa.array(values, column.type) for values, column in zip(columns, ANSWERS, strict=True)]
    return pa.table(arrays, schema=ANSWERS)


def _lists(values: npt.NDArray[Any]) -> list[list[Any]]:
    lists: list[list[Any]] = values.reshape(-1, _TOKENS).tolist()
    return lists


if __name__ == "__main__":
    main()
