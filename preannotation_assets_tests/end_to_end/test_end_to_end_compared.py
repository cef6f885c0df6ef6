"""A batch is run, reviewed, compared with a worse model's answers, and run with that model."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared.compared_servers import EXACT, SLOPPY, Servers, compared_servers, environment_for

from end_to_end.user_place import DATASET, MARKER, REPORT, Place, asked, make_place
from preannotation_assets.contracts import RESPONSES

PAGES = {f"report {number:02}": REPORT.replace("14 March", f"{number + 1} March") for number in range(14)}
REVIEWED = {f"{DATASET}/{name}" for name in list(PAGES)[:12]}
# The experts do not want these: every so many of the model's spans.
UNWANTED = 6

Preannotate = Callable[..., tuple[int, str, str]]
Spans = set[tuple[str, int, int, str]]


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield compared_servers(stack)


def published(place: Place) -> Spans:
    rows = pq.read_table(place.parquet).to_pylist()
    return {(row["doc_id"], row["start"], row["end"], row["label"]) for row in rows}


def review(place: Place) -> Spans:
    """The experts keep most of what was published on some of the pages."""
    kept = [span for number, span in enumerate(sorted(published(place))) if number % UNWANTED]
    gold = {span for span in kept if span[0] in REVIEWED}
    hashes = {row["doc_id"]: row["text_sha256"] for row in pq.read_table(place.parquet).to_pylist()}
    responses = [
        {
            "doc_id": doc_id, "page_num": 1, "text_sha256": hashes[doc_id], "annotator": "ada",
            "status": "submitted", "submitted_at": datetime(2026, 3, 1, tzinfo=UTC),
            "spans": [
                {"start": start, "end": end, "label": label}
                for doc, start, end, label in sorted(gold)
                if doc == doc_id
            ],
        }
        for doc_id in sorted(REVIEWED)
    ]  # fmt: skip
    folder = place.lake / "argilla" / "out" / DATASET / "responses"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(responses, schema=RESPONSES), folder / "part-00000.parquet")
    return gold


def compared(place: Place) -> dict[str, dict[str, Any]]:
    folder = place.lake / "argilla" / "work" / DATASET / "comparison"
    text = (folder / "comparison.json").read_text("utf-8")
    assert MARKER not in text
    assert MARKER in (folder / "report.html").read_text("utf-8")
    return {variant["name"]: variant for variant in json.loads(text)["variants"]}


def strict(variant: dict[str, Any], label: str = "") -> dict[str, float]:
    (score,) = (
        score
        for score in variant["scores"]["scores"]
        if (score["label"], score["scheme"]) == (label, "strict")
    )
    return {name: score[name]["value"] for name in ("precision", "recall", "f1")}


def counted(gold: Spans, suggested: Spans) -> dict[str, float]:
    right = len(gold & suggested)
    return {
        "precision": right / len(suggested),
        "recall": right / len(gold),
        "f1": 2 * right / (len(gold) + len(suggested)),
    }


def of_pages(spans: Iterable[tuple[str, int, int, str]]) -> Spans:
    return {span for span in spans if span[0] in REVIEWED}


def _require_cascade(place: Place, out: str, f1_of_small: float, f1_of_large: float) -> None:
    """The curve goes from what the doubts alone ask to what the large model does, and asks nothing itself."""
    assert "cascade  small first, then batch; 12 pages" in out
    folder = place.lake / "argilla" / "work" / DATASET / "comparison"
    cascade = json.loads((folder / "comparison.json").read_text("utf-8"))["cascade"]
    curve = cascade["curve"]
    always = sum(cascade["doubted"].values())
    assert 0 < always < cascade["pages"] == len(REVIEWED)
    assert f1_of_small < curve[0]["f1"]["value"]
    assert 0 < curve[0]["asked"] < 1
    assert (curve[-1]["asked"], curve[-1]["lost"]["value"]) == (1.0, 0.0)
    assert curve[-1]["f1"]["value"] == pytest.approx(f1_of_large)
    asked_of_large = [point["asked"] for point in curve]
    assert asked_of_large == sorted(asked_of_large)
    assert [choice["price"] for choice in cascade["choices"]] == [0.1, 0.25, 0.5, 1.0, 2.0]
    assert 'id="cascade"' in (folder / "report.html").read_text("utf-8")


def test_each_question_is_asked_once_and_a_run_publishes_what_was_compared(
    tmp_path: Path, servers: Servers, preannotate: Preannotate
) -> None:
    place = make_place(tmp_path / "user", PAGES, servers[EXACT].url)
    batch = {"PREANNOTATION_MODEL": EXACT, "OLLAMA_HOST": servers[EXACT].url}
    assert preannotate(place, "run", DATASET, **batch)[0] == 0
    gold, of_batch = review(place), of_pages(published(place))
    (place.folder / "variants.yaml").write_text(
        f"variants:\n  small:\n    model: {SLOPPY}\n    ollama_endpoints: {servers[SLOPPY].url}\n", "utf-8"
    )
    paid_for = asked(servers[EXACT])

    status, out, err = preannotate(place, "compare", DATASET, "--with", "variants.yaml", **batch)
    assert (status, err) == (0, "")
    assert MARKER not in out
    assert asked(servers[EXACT]) == paid_for
    assert asked(servers[SLOPPY]) == len(REVIEWED)
    first = compared(place)
    assert [(each["costs"]["asked"], each["costs"]["found"]) for each in first.values()] == [
        (0, len(REVIEWED)),
        (len(REVIEWED), 0),
    ]
    for figures in first.values():
        assert figures["costs"]["timed_pages"] == len(REVIEWED)
        assert figures["costs"]["server_seconds_a_page"] > 0
        assert figures["costs"]["batch_hours"]["hours"] > 0
    assert strict(first["batch"]) == pytest.approx(counted(gold, of_batch))

    # What the comparison said of the small model is what a run with it publishes, without asking again.
    other = environment_for(servers, SLOPPY)
    assert preannotate(place, "run", DATASET, PREANNOTATION_MOST_ROWS_LOST="1", **other)[0] == 0
    assert asked(servers[SLOPPY]) == len(PAGES)
    of_small = of_pages(published(place))
    assert strict(first["small"]) == pytest.approx(counted(gold, of_small))
    difference = first["small"]["differences"]["f1"]
    assert difference["value"] == pytest.approx(counted(gold, of_small)["f1"] - counted(gold, of_batch)["f1"])
    assert difference["value"] < -0.1
    assert difference["p_value"] < 0.01
    for label in {span[3] for span in gold}:
        own = [{span for span in spans if span[3] == label} for spans in (gold, of_batch, of_small)]
        for name, suggested in zip(first, own[1:], strict=True):
            right = 2 * len(own[0] & suggested) / (len(own[0]) + len(suggested))
            assert strict(first[name], label)["f1"] == pytest.approx(right)

    # Now the small one's are published, and reviewed alike: the same comparison, for nothing.
    asking = ("compare", DATASET, "--with", "variants.yaml", "--cascade")
    status, out, _ = preannotate(place, *asking, "small,batch", **batch)
    assert status == 0
    again = compared(place)
    _require_cascade(place, out, counted(gold, of_small)["f1"], counted(gold, of_batch)["f1"])
    for wrong in ("small,other", "small,small"):
        status, _, err = preannotate(place, *asking, wrong, **batch)
        assert (status, err.count("\n")) == (1, 1)
        assert "--cascade names" in err
    assert asked(servers[EXACT]) + asked(servers[SLOPPY]) == paid_for + len(PAGES)
    for name, figures in again.items():
        assert figures["costs"]["asked"] == 0
        assert figures["scores"] == first[name]["scores"]
        assert figures["differences"] == first[name]["differences"]
