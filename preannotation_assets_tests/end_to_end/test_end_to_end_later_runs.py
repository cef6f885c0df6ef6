"""Runs after the first one: what is asked again, and what is published."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from end_to_end.user_place import (
    BLANK,
    DATASET,
    PAGES,
    REPORT,
    asked,
    change_page,
    leaks,
    make_place,
    sha256,
    warehouse_texts,
)
from preannotation_assets.simulator import RunningSimulator


def test_later_runs_ask_only_what_is_new(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    pages = {name: PAGES[name] for name in ("plain", "emoji", "crlf", "nul")} | BLANK
    place = make_place(tmp_path / "user", pages, simulator.url)
    simulator.reset()
    assert preannotate(place, "run", DATASET)[0] == 0
    everything, rows = asked(simulator), pq.read_table(place.parquet)
    assert everything == 4
    written = place.parquet.stat().st_mtime_ns, place.manifest()

    assert preannotate(place, "run", DATASET)[0] == 0
    assert asked(simulator) == everything
    assert (place.parquet.stat().st_mtime_ns, place.manifest()) == written

    change_page(place.database, "plain", "")
    assert preannotate(place, "run", DATASET)[0] == 0
    assert asked(simulator) == everything
    assert {"doc_id": f"{DATASET}/plain", "page_num": 1, "text_sha256": sha256("")} in place.manifest()[
        "pages_without_spans"
    ]  # type: ignore[operator]
    assert f"{DATASET}/plain" not in pq.read_table(place.parquet)["doc_id"].to_pylist()

    change_page(place.database, "plain", f"Second edition.\n{REPORT}")
    assert preannotate(place, "run", DATASET)[0] == 0
    assert asked(simulator) == everything + 1
    texts = warehouse_texts(place.database)
    found = pq.read_table(place.parquet).to_pylist()
    assert all(texts[row["doc_id"]][row["start"] : row["end"]] == row["text"] for row in found)
    others = [row for row in rows.to_pylist() if row["doc_id"] != f"{DATASET}/plain"]
    assert [row for row in found if row["doc_id"] != f"{DATASET}/plain"] == others

    wanted = place.folder / "wanted.txt"
    wanted.write_text(f"\ufeff{DATASET}/plain\r\n\r\n{DATASET}/empty\n{DATASET}/nowhere\n", "utf-8")
    status, said, _ = preannotate(place, "run", DATASET, "--doc-ids", "wanted.txt")
    assert status == 0
    assert "narrowed to 3 doc_ids, of which 1 were not found" in said
    assert set(pq.read_table(place.parquet)["doc_id"].to_pylist()) == {f"{DATASET}/plain"}
    assert preannotate(place, "verify", DATASET)[0] == 0
    assert asked(simulator) == everything + 1
    wanted.unlink()

    assert preannotate(place, "run", DATASET)[0] == 0
    assert pq.read_table(place.parquet).to_pylist() == found
    assert asked(simulator) == everything + 1

    status, said, _ = preannotate(place, "run", DATASET, "--refresh")
    assert status == 0
    assert asked(simulator) == 2 * everything + 1
    assert " 0 before" in said
    assert leaks(place.folder / "dagster home") == []
