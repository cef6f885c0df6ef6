"""A server without log-probabilities: no confidence, or the model's own word, marked as such."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from end_to_end.user_place import DATASET, REPORT, Place, asked, make_place
from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatorSettings

PAGES = {f"report {number}": REPORT.replace("14 March", f"{number + 1} March") for number in range(6)}
# Many answers are shortened, so that digits other than 9 are among them.
HABITS = HabitRates(repair=0, omit=0, repeat=0, shorten=0.3, mislabel=0, invent=0)


@pytest.fixture
def without_logprobs() -> Iterator[RunningSimulator]:
    with RunningSimulator(SimulatorSettings(slots=4, version="0.12.10", habits=HABITS)) as running:
        yield running


def published(place: Place) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(place.parquet).to_pylist()
    return rows


def grounding_files(place: Place) -> set[Path]:
    """Those of earlier publications stay for a day."""
    return set((place.lake / "argilla" / "work" / DATASET / "suggestions").rglob("groundings/*.parquet"))


def rows_of(files: Iterable[Path]) -> list[dict[str, Any]]:
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_the_model_s_own_word_is_a_confidence_only_where_it_was_asked_for(
    tmp_path: Path,
    without_logprobs: RunningSimulator,
    preannotate: Callable[..., tuple[int, str, str]],
) -> None:
    place = make_place(tmp_path / "user", PAGES, without_logprobs.url)

    assert preannotate(place, "run", DATASET, PREANNOTATION_SELF_REPORTED="")[0] == 0
    before, plain, requests = published(place), place.manifest(), asked(without_logprobs)
    assert before
    assert {row["confidence"] for row in before} == {None}
    assert plain["confidences_by_source"] == {"unknown": len(before)}
    assert "/spans-2-self-" not in str(plain["model_version"])
    earlier = grounding_files(place)
    assert {row["self_reported"] for row in rows_of(earlier)} == {None}

    assert preannotate(place, "run", DATASET, PREANNOTATION_SELF_REPORTED="yes")[0] == 0
    after, rated = published(place), place.manifest()
    # Another question: everything was asked again, and every row names the prompt it came from.
    assert asked(without_logprobs) == 2 * requests
    assert rated["confidences_by_source"] == {"self_reported": len(after)}
    assert {row["model_version"] for row in after} == {rated["model_version"]}
    assert "/spans-2-self-" in str(rated["model_version"])
    assert str(rated["prompt_version"]).startswith("spans-2-self-")
    assert len({row["confidence"] for row in after}) > 2
    kept = [row for row in rows_of(grounding_files(place) - earlier) if row["outcome"] == "kept"]
    assert {row["token_probability"] for row in kept} == {None}
    # A rule for values lowers some; each of the others is the digit times the similarity.
    expected = {
        (row["doc_id"], row["start"], row["label"]): (row["self_reported"] + 0.5) / 10 * row["similarity"]
        for row in kept
        if row["value_verdict"] != "invalid"
    }
    assert len(expected) > len(after) / 2
    found = {(row["doc_id"], row["start"], row["label"]): row["confidence"] for row in after}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    # The same places are marked, whether or not the model rates them.
    assert Counter(row["span_id"] for row in after) == Counter(row["span_id"] for row in before)

    assert preannotate(place, "run", DATASET, PREANNOTATION_SELF_REPORTED="")[0] == 0
    assert asked(without_logprobs) == 2 * requests
    assert {row["confidence"] for row in published(place)} == {None}
