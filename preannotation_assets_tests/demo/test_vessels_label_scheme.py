"""The default label scheme: its labels, and few-shot examples the demo pages do not give away."""

import re
from importlib import resources
from typing import Any

import pytest
import yaml

from preannotation_assets.demo.long_page import imo_number
from preannotation_assets.demo.sample import sample_pages
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.values import OnInvalid, Verdict, judge

SOURCE = (
    resources.files("preannotation_assets")
    .joinpath("label_schemes", "vessels.yaml")
    .read_text(encoding="utf-8")
)
SCHEME: dict[str, Any] = yaml.safe_load(SOURCE)
RULES = parse_label_scheme(SOURCE, "vessels.yaml").value_rules
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
RULE_FIELDS = {"pattern", "check", "on_invalid"}
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
    assert set(label) - RULE_FIELDS == {"name", "definition", "examples", "excludes"}
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


def test_the_example_without_marks_is_the_first() -> None:
    """With it last a 135M model marked nothing on 12 pages of 12, in between on 11 (docs/labels.md)."""
    assert [bool(example["spans"]) for example in SCHEME["examples"]] == [False, True, True]


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


def test_no_value_is_thrown_away() -> None:
    assert set(RULES) == {"imo_number", "call_sign", "year_built"}
    assert {rule.on_invalid for rule in RULES.values()} == {OnInvalid.LOWER}


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("imo_number", "9715658"), ("imo_number", "97l5658"), ("imo_number", "9 715 658"),
        ("call_sign", "H3TN"), ("call_sign", "Q H T R"), ("call_sign", "H.L.V.D."), ("call_sign", "9V6l18"),
        ("year_built", "1974"), ("year_built", "l953"), ("year_built", "2OO3"), ("year_built", "18 ^ 7"),
    ],
)  # fmt: skip
def test_a_value_that_ocr_damaged_keeps_its_confidence(label: str, value: str) -> None:
    assert judge(RULES[label], value) is Verdict.VALID


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("imo_number", "9715659"), ("imo_number", "IMO 9715658"), ("imo_number", "211234560"),
        ("call_sign", "211234560"), ("call_sign", "Bremen Radio"), ("call_sign", "keines"),
        ("year_built", "12,416"), ("year_built", "keel"), ("year_built", "in 1974"), ("year_built", "74"),
    ],
)  # fmt: skip
def test_what_is_none_of_the_label_is_lowered(label: str, value: str) -> None:
    assert judge(RULES[label], value) is Verdict.INVALID


def test_the_imo_numbers_of_the_demo_are_valid_but_for_the_one_that_says_so() -> None:
    texts = [page.text for page in sample_pages()]
    numbers = {found for text in texts for found in re.findall(r"(?<![\w.,])\d{7}(?![\w.,])", text)}
    invalid = {number for number in numbers if judge(RULES["imo_number"], number) is Verdict.INVALID}
    assert len(numbers) > 500
    assert invalid == {"9374687"}
