"""Each page gets another hostile reply: the run ends, and each page has the fate of its own reply."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from shared.hostile_replies import OLLAMA, front, hostile_page

from end_to_end.user_place import DATASET, REPORT, Place, make_place
from preannotation_assets.simulator import RunningSimulator

SETTINGS = {
    "PREANNOTATION_STREAM": "never",
    "PREANNOTATION_MAX_FAILURE_RATE": "1",
    "PREANNOTATION_ATTEMPTS": "2",
    "PREANNOTATION_FIRST_BACKOFF": "0.01",
}
GOOD = {f"good {number}": REPORT.replace("14 March", f"{number + 1} March") for number in range(4)}


def failed_pages(place: Place) -> dict[str, str]:
    pages = place.manifest()["failed_pages"]
    assert isinstance(pages, list)
    return {page["doc_id"].removeprefix(f"{DATASET}/"): page["reason"] for page in pages}


def published_pages(place: Place) -> set[str]:
    return {row["doc_id"].removeprefix(f"{DATASET}/") for row in pq.read_table(place.parquet).to_pylist()}


def test_good_pages_are_published_and_the_next_run_asks_about_the_others_only(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]], simulator: RunningSimulator
) -> None:
    pages = {name: hostile_page(number) for number, name in enumerate(OLLAMA)}
    bad = {name: reply.becomes for name, reply in OLLAMA.items() if reply.becomes != "answered"}
    with front(simulator.url, OLLAMA) as standing:
        place = make_place(tmp_path / "user", pages | GOOD, standing.url)
        status, out, errors = preannotate(place, "run", DATASET, **SETTINGS)
        assert status == 0, out + errors
        assert failed_pages(place) == {**bad, "broken": failed_pages(place)["broken"]}
        assert published_pages(place) == (pages.keys() | GOOD.keys()) - bad.keys()

        standing.asked.clear()
        simulator.reset()
        status, out, errors = preannotate(place, "run", DATASET, **SETTINGS)
        assert status == 0, out + errors
        assert standing.asked.keys() == bad.keys()
        assert max(standing.asked.values()) <= 2
    assert "Traceback" not in errors
    assert "blocked" not in out + errors
