import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.labels import LabelScheme, span_question

# Argilla has an environment of its own (`make set-up-argilla`).
ARGILLA_PYTHON = Path(__file__).parents[2] / ".venv-argilla" / "bin" / "python"
ACCEPT = """
import json, sys
from unittest.mock import MagicMock
import argilla
from argilla_server.api.schemas.v1.questions import QuestionCreate
arguments = json.load(sys.stdin)["question"]
question = argilla.SpanQuestion(**arguments, client=MagicMock())
body = question._model.model_dump(exclude={"id", "dataset_id", "inserted_at", "updated_at"})
print(QuestionCreate(**body).settings.model_dump_json())
"""


def scheme(*labels: dict[str, Any], overlaps: bool = False) -> LabelScheme:
    described = [{"definition": "d"} | label for label in labels]
    return LabelScheme.model_validate(
        {"name": "vessels", "version": 1, "overlaps": overlaps, "labels": described}
    )


def test_titles_and_colours_of_the_scheme_are_used() -> None:
    made = span_question(
        scheme({"name": "port", "title": "Hafen 🚢", "color": "#00FF7f"}, {"name": "flag"}, {"name": "date"}),
        "marks",
        "page",
    )
    assert made["question"] == {
        "name": "marks", "field": "page", "allow_overlapping": False, "visible_labels": 3,
        "labels": {"port": "Hafen 🚢", "flag": "flag", "date": "date"},
    }  # fmt: skip
    assert made["colors"]["port"] == "#00ff7f"


def test_fewer_labels_than_argilla_counts_are_all_shown() -> None:
    made = span_question(scheme({"name": "port"}, {"name": "flag"}, overlaps=True), "spans", "text")[
        "question"
    ]
    assert (made["visible_labels"], made["allow_overlapping"]) == (None, True)


colors = st.none() | st.from_regex(r"\A#[0-9a-fA-F]{6}\Z") | st.sampled_from(["#f5a3a3", "#A3F5BB"])


@given(st.lists(colors, min_size=1, max_size=200))
def test_labels_without_a_colour_get_one_of_their_own(chosen: list[str | None]) -> None:
    labels = [{"name": f"l{index}", "color": color} for index, color in enumerate(chosen)]
    made = span_question(scheme(*labels), "spans", "text")["colors"]
    assert made == span_question(scheme(*labels), "spans", "text")["colors"]
    assert all(re.fullmatch(r"#[0-9a-f]{6}", color) for color in made.values())
    own = [color.lower() for color in chosen if color]
    given_out = [made[label["name"]] for label, color in zip(labels, chosen, strict=True) if not color]
    assert len({*given_out, *own}) == len(given_out) + len(set(own))


@pytest.mark.skipif(not ARGILLA_PYTHON.exists(), reason="Argilla is not set up")
def test_argillas_own_classes_take_the_largest_scheme() -> None:
    labels = [
        {"name": f"{index:03d}" + "ü" * 97, "title": f"{index:03d}" + "🚢" * 497} for index in range(200)
    ]
    made = span_question(scheme(*labels, overlaps=True), "spans", "text")
    done = subprocess.run(
        [ARGILLA_PYTHON, "-c", ACCEPT], input=json.dumps(made), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    taken = json.loads(done.stdout.splitlines()[-1])
    assert {option["value"]: option["text"] for option in taken["options"]} == made["question"]["labels"]
    assert (taken["visible_options"], taken["allow_overlapping"], taken["field"]) == (200, True, "text")
