"""Freezes a lake: ``python -m preannotation_assets_tests.evolution.freeze FOLDER``, from the repository.

Run it when a stored format has changed on purpose, and the code that writes the new format is final. It
adds one more lake beside the frozen ones (``lake_v2`` and so on), so that later code is tested with every
format that was ever stored. Never replace one: it stands for data that users have. Where the prompt or the
options of a request change on purpose, the frozen questions are others, and all of an older lake is asked
again: say so in the test that counts the requests, and keep the lake for the others.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from preannotation_assets_tests.evolution.frozen_lake import (
    DATASET,
    MODEL,
    Fault,
    FaultRule,
    Frozen,
    FrozenLake,
    process_environment,
    request_key,
    rows_hash,
    stand_in,
    stand_in_digest,
    text_sha256,
)
from preannotation_assets_tests.evolution.pages_for_freezing import BROKEN, FAILING, PAGES

_SETTINGS = {
    "PREANNOTATION_MODEL": MODEL,
    "PREANNOTATION_CHUNK_TOKENS": "180",
    "PREANNOTATION_OVERLAP_TOKENS": "30",
    "PREANNOTATION_NUM_CTX": "4096",
    "PREANNOTATION_NUM_PREDICT": "80",
    "PREANNOTATION_SECOND_PASS_BELOW": "0.97",
    "PREANNOTATION_MAX_IN_FLIGHT": "4",
}
# A task for every chunk writes files enough for the journal to be compacted.
_MANY_TASKS = "local[24]"
_FROZEN_KEYS = 5
_RUN_SECONDS = 300
_NOT_FROZEN = ("preview.html", "lease.json")
_MAIN = "import sys; from preannotation_assets.cli import main; sys.exit(main())"


def freeze(folder: Path) -> None:
    """Runs the job twice over the made-up pages and leaves a frozen lake in ``folder``.

    The first run is about all pages but one; in the second, the request about that one fails.
    """
    folder.mkdir(parents=True)
    _write_inputs(folder)
    place = FrozenLake(folder).copy(folder.with_name(f"{folder.name}.work"))
    try:
        with stand_in() as simulator:
            doc_ids = [f"{DATASET}/{name}" for name in PAGES if name != FAILING]
            (place.folder / "doc_ids.txt").write_text("\n".join(doc_ids), "utf-8")
            _run(place, simulator.url, "--doc-ids", "doc_ids.txt")
            simulator.set_faults(FaultRule(Fault.INVALID_JSON, probability=1.0))
            _run(place, simulator.url)
        shutil.copytree(
            place.folder / "lake", folder / "lake", ignore=shutil.ignore_patterns(*_NOT_FROZEN, ".*")
        )
    finally:
        shutil.rmtree(place.folder)
    (folder / "frozen.json").write_text(_account(FrozenLake(folder)).to_json(), "utf-8")


def _write_inputs(folder: Path) -> None:
    shutil.copyfile(Path(__file__).with_name("labels_for_freezing.yaml"), folder / "labels.yaml")
    rows = [
        {
            "doc_id": f"{DATASET}/{name}",
            "page_num": 1,
            "text": text,
            "text_sha256": text_sha256("another text" if name == BROKEN else text),
        }
        for name, text in PAGES.items()
    ]
    content = json.dumps(rows, indent=2, ensure_ascii=False)
    (folder / "warehouse.json").write_text(f"{content}\n", "utf-8", newline="\n")


def _run(place: FrozenLake, ollama: str, *arguments: str) -> None:
    environment = {
        **process_environment(),
        **_SETTINGS,
        "OLLAMA_HOST": ollama,
        "PREANNOTATION_DATABASE": "warehouse.duckdb",
        "PREANNOTATION_ROOT": "lake",
        "PREANNOTATION_LABELS": "labels.yaml",
        "PREANNOTATION_SPARK_MASTER": _MANY_TASKS,
        "DAGSTER_HOME": str(place.folder.absolute() / "dagster home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, "run", DATASET, *arguments],
        env=environment,
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    sys.stdout.write(done.stdout)


def _account(lake: FrozenLake) -> Frozen:
    """What the tests must know of the lake, once it is there."""
    outputs = lake.manifest("raw_model_outputs")
    fingerprint = outputs["request_fingerprint"]
    rows = [row for key in lake.journal_files() for row in _rows(lake, key)]
    answered = {row["request_key"] for row in rows if row["status"] == "answered"}
    (failed,) = (row["request_key"] for row in rows if row["status"] == "failed")
    chunks = [text_sha256(text) for text in PAGES.values()]
    keys = {chunk: request_key(fingerprint, chunk) for chunk in chunks}
    known = {chunk: key for chunk, key in keys.items() if key in answered}
    table = lake.published
    return Frozen(
        dataset=DATASET,
        settings=_SETTINGS,
        model=MODEL,
        model_digest=stand_in_digest(),
        prompt_fingerprint=lake.template_of(_SETTINGS).prompt.fingerprint,
        request_fingerprint=fingerprint,
        second_pass_fingerprint=lake.template_of(_SETTINGS).for_second_pass().fingerprint,
        request_keys=dict(list(known.items())[:_FROZEN_KEYS]),
        failed_doc_id=f"{DATASET}/{FAILING}",
        failed_request_key=failed,
        run_ids=sorted({row["run_id"] for row in rows}),
        published_rows=table.num_rows,
        rows_sha256=rows_hash(table),
    )


def _rows(lake: FrozenLake, key: str) -> list[dict[str, Any]]:
    return lake.read(key).select(["request_key", "status", "run_id"]).to_pylist()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m preannotation_assets_tests.evolution.freeze FOLDER")
    freeze(Path(sys.argv[1]))
