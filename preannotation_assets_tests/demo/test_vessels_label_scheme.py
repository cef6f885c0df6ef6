"""The default label scheme: its labels, and few-shot examples the demo pages do not give away."""

import re
from importlib import resources
from typing import Any

import pytest
import yaml

from preannotation_assets.demo.long_page import imo_number
from preannotation_assets.demo.sample import sample_pages

SCHEME: dict[str, Any] = yaml.safe_load(
    resources.files("preannotation_assets")
    .joinpath("label_schemes", "vessels.yaml")
    .read_text(encoding="utf-8")
)
LABELS = [
    "vessel_name",
    "imo_number",
    "call_sign",
    "flag",
    "port_of_registry",
    "port",
    "owner",
    "master",
    "builder",
    "year_built",
    "gross_tonnage",
    "date",
    "cargo",
]
NAMING_LABELS = {
    "vessel_name",
    "imo_number",
    "call_sign",
    "port_of_registry",
    "port",
    "owner",
    "master",
    "builder",
}


def spans_of(example: dict[str, Any]) -> list[tuple[str, Any]]:
    return [item for span in example["spans"] for item in span.items()]


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold()


def test_the_labels_stand_in_the_agreed_order() -> None:
    assert (SCHEME["name"], SCHEME["version"], SCHEME["overlaps"]) == ("vessels", 1, False)
    assert [label["name"] for label in SCHEME["labels"]] == LABELS


@pytest.mark.parametrize("label", SCHEME["labels"], ids=LABELS)
def test_every_label_says_what_counts_and_what_does_not(label: dict[str, Any]) -> None:
    assert set(label) == {"name", "definition", "examples", "excludes"}
    assert 30 < len(label["definition"]) < 250
    assert 10 < len(label["excludes"]) < 250
    assert label["examples"]
    assert all(isinstance(example, str) for example in label["examples"])


@pytest.mark.parametrize("example", SCHEME["examples"])
def test_every_quote_is_verbatim_and_in_reading_order(example: dict[str, Any]) -> None:
    assert 200 <= len(example["text"]) <= 500
    position = 0
    for label, quote in spans_of(example):
        assert label in LABELS
        assert isinstance(quote, str)
        position = example["text"].index(quote, position) + len(quote)


def test_the_examples_together_show_every_label_and_ocr_noise_and_an_empty_answer() -> None:
    shown = [item for example in SCHEME["examples"] for item in spans_of(example)]
    assert {label for label, _ in shown} == set(LABELS)
    assert any("-\n" in quote for _, quote in shown)
    assert any("l" in quote and label == "gross_tonnage" for label, quote in shown)
    assert [] in [example["spans"] for example in SCHEME["examples"]]
    assert any(" ist " in example["text"] and " mit " in example["text"] for example in SCHEME["examples"])


def test_no_name_of_an_example_is_on_a_demo_page() -> None:
    pages = [folded(page.text) for page in sample_pages()]
    quotes = {
        quote
        for example in SCHEME["examples"]
        for label, quote in spans_of(example)
        if label in NAMING_LABELS
    }
    examples = {
        quote
        for label in SCHEME["labels"]
        if label["name"] in {"vessel_name", "owner", "builder", "master"}
        for quote in label["examples"]
    }
    assert [quote for quote in quotes | examples if any(folded(quote) in page for page in pages)] == []


def test_imo_numbers_of_the_scheme_have_right_check_digits() -> None:
    text = "\n".join([*(example["text"] for example in SCHEME["examples"]), *SCHEME["labels"][1]["examples"]])
    numbers = re.findall(r"(?<!\d)\d{7}(?!\d)", text)
    assert len(numbers) >= 2
    assert all(imo_number(int(number[:6])) == number for number in numbers)
