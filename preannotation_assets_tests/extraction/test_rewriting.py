"""A label scheme's file with other examples."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.labels import (
    Example,
    ExampleSource,
    LabelScheme,
    check_label_scheme,
    parse_label_scheme,
)
from preannotation_assets.extraction.labels.rewriting import rewrite_scheme
from preannotation_assets.label_file import read_label_file
from preannotation_assets.settings import Settings

PLAIN = """\
# A scheme.
name: s
version: 9  # counted by hand
labels:
  # Ports first.
  - name: port
    definition: A place.
    pattern: '.+'
# What is right.
examples:
  - text: From Hull.
    spans: [{port: Hull}]

# At the end.
"""
PORTS = "labels: [{name: port, definition: d}]\n"
LEARNED = Example(
    text="Built\nin Leith.",
    spans=({"port": "Leith"},),
    source=ExampleSource(dataset="vessels_ocr_7", document="0123456789abcdef"),
)


def rewritten(source: str, *examples: Example) -> tuple[LabelScheme, str]:
    before = parse_label_scheme(source, "x")
    text = rewrite_scheme(source, before, examples)
    after = parse_label_scheme(text, "x")
    assert after == before.model_copy(update={"version": before.version + 1, "examples": examples})
    return after, text


def test_version_and_examples_change_and_every_other_line_stays() -> None:
    _, text = rewritten(PLAIN, LEARNED)
    changes = [line for line in difflib.ndiff(PLAIN.splitlines(), text.splitlines()) if line[0] in "+-"]
    assert changes == [
        "- version: 9  # counted by hand",
        "+ version: 10  # counted by hand",
        "-   - text: From Hull.",
        "-     spans: [{port: Hull}]",
        "+   - text: |-",
        "+       Built",
        "+       in Leith.",
        "+     spans:",
        "+       - port: Leith",
        "+     source:",
        "+       dataset: vessels_ocr_7",
        "+       document: 0123456789abcdef",
    ]


def test_the_scheme_of_the_package_keeps_its_comments() -> None:
    source = read_label_file(Settings().labels.path)
    scheme, text = rewritten(source, LEARNED.model_copy(update={"spans": ({"port": "Leith"},)}))
    kept = [line for line in source.splitlines() if line.lstrip().startswith("#")]
    assert len(kept) >= 5
    assert [line for line in text.splitlines() if line.lstrip().startswith("#")] == kept
    assert len(scheme.examples) == 1


@pytest.mark.parametrize(
    "source",
    [
        # Examples before the labels, none at all, an empty list in its line, no line end, one line of JSON.
        "name: s\nversion: 1\nexamples:\n- {text: Hull, spans: []}\n# Ports.\n" + PORTS,
        "name: s\nversion: 1\nlabels:\n  - {name: port, definition: d}\n",
        "name: s\nversion: 1\nexamples: []\nlabels:\n  - {name: port, definition: d}",
        "examples: []  # none yet\nname: s\nversion: 1\nlabels: [{name: port, definition: d}]",
        '{"name": "s", "version": "1", "labels": [{"name": "port", "definition": "d"}]}',
        # What the labels refer to stands among the examples.
        "name: s\nversion: 1\nexamples: [{text: &a Hull, spans: []}]\n" + PORTS.replace(" d}", " *a}"),
        "---\nname: s\nversion: 1\nlabels: [{name: port, definition: d}]\n...\n",
        "  name: s\n  version: 1\n  labels: [{name: port, definition: d}]\n",
    ],
)  # fmt: skip
def test_a_scheme_in_any_form_is_the_same_scheme_afterwards(source: str) -> None:
    rewritten(source, LEARNED)
    rewritten(source)


def test_a_comment_behind_the_examples_belongs_to_what_comes() -> None:
    source = "name: s\nversion: 1\nexamples:\n- {text: Hull, spans: []}\n# Ports.\n" + PORTS
    _, text = rewritten(source, LEARNED)
    assert "\n# Ports.\nlabels: " in text


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1, max_size=3))
def test_any_page_comes_back_as_it_was(texts: list[str]) -> None:
    examples = [Example(text=text, spans=()) for text in texts if text.strip()]
    rewritten(PLAIN, *examples)


@given(
    st.text(st.sampled_from(" \n\t\r#:-|>'\"\\{}[]&*\x85\u2028\u2029\x02\ufeffaé😀"), min_size=1, max_size=12)
)
def test_so_does_what_yaml_would_take_for_its_own(text: str) -> None:
    if text.strip():
        rewritten(PLAIN, Example(text=text, spans=()))


def test_what_yaml_cannot_hold_is_told_in_one_line_without_the_text() -> None:
    scheme = parse_label_scheme(PLAIN, "x")
    with pytest.raises(LabelSchemeError) as raised:
        rewrite_scheme(PLAIN, scheme, [Example(text="ZEBRA", spans=({"port": "QUARTZ"},))])
    assert "ZEBRA" not in str(raised.value)
    assert "QUARTZ" not in str(raised.value)
    assert check_label_scheme(PLAIN, "x").scheme == scheme
