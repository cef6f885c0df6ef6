import copy
import pickle
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.labels import LabelScheme, parse_label_scheme

SCHEME: dict[str, Any] = {
    "name": "vessels",
    "version": 3,
    "labels": [
        {"name": "port", "definition": "A place.", "examples": ["Hull", "Köln"], "excludes": "Streets."},
        {"name": 'Schiff "№ 1" {x}', "definition": "A ship."},
    ],
    "examples": [
        {"text": "The Marie of Hull, from Hull.\n", "spans": [{"port": "Hull"}, {"port": "Hull"}]},
        {"text": "Nothing.", "spans": []},
    ],
}


def parse(scheme: Any) -> LabelScheme:
    return parse_label_scheme(yaml.safe_dump(scheme, allow_unicode=True), "labels.yaml")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The scheme with one value in the place of another, or without it where the value is ``...``."""
    scheme = copy.deepcopy(SCHEME)
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    node: Any = scheme
    for step in parents:
        node = node[step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return scheme


def test_a_scheme_is_read_as_it_is_written() -> None:
    scheme = parse(SCHEME)
    assert scheme.label_names == ("port", 'Schiff "№ 1" {x}')
    assert scheme.overlaps is False
    assert scheme.labels[0].examples == ("Hull", "Köln")
    assert scheme.examples[0].text == "The Marie of Hull, from Hull.\n"
    assert pickle.loads(pickle.dumps(scheme)) == scheme
    assert parse(SCHEME | {"overlaps": True}).overlaps is True


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("name", ..., "name"),
        ("name", "two words", "name"),
        ("version", 0, "version"),
        ("version", "one", "version"),
        ("labels", ..., "labels"),
        ("labels", [], "labels"),
        ("labels", [{"name": f"l{index}", "definition": "x"} for index in range(201)], "labels"),
        ("labels.0.name", "", "labels.0.name"),
        ("labels.0.name", " port", "labels.0.name"),
        ("labels.0.name", "a:b", "labels.0.name"),
        ("labels.0.name", "a\nb", "labels.0.name"),
        ("labels.0.name", "x" * 101, "labels.0.name"),
        ("labels.0.name", 1974, "labels.0.name"),
        ("labels.0.definition", ..., "labels.0.definition"),
        ("labels.0.definition", "  ", "labels.0.definition"),
        ("labels.0.examples", "Hull", "labels.0.examples"),
        ("labels.0.examples.1", 1974, "labels.0.examples.1"),
        ("labels.1.name", "port", "defined twice: port"),
        ("labels.1.colour", "red", "labels.1.colour"),
        ("overlap", True, "overlap"),
        ("overlaps", "sometimes", "overlaps"),
        ("examples.0.text", " \n", "examples.0.text"),
        ("examples.0.spans.0", {"port": "Kiel"}, "the quote of span 1"),
        ("examples.0.spans.1", {"port": "hull"}, "the quote of span 2"),
        ("examples.0.spans.1", {"port": "Marie"}, "span 2 is not in reading order"),
        ("examples.0.spans.0", {"port": "Hull", "x": "Marie"}, "span 1 must be one label"),
        ("examples.0.spans.0", {}, "span 1 must be one label"),
        ("examples.0.spans.0", {"port": ""}, "examples.0.spans.0.port"),
        ("examples.0.spans.0", {"port": "x" * 301}, "examples.0.spans.0.port"),
        ("examples.0.spans.0", {"harbour": "Hull"}, "not defined: harbour"),
        ("examples.0.spans", "Hull", "examples.0.spans"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_place_in_one_line(path: str, value: Any, place: str) -> None:
    with pytest.raises(LabelSchemeError) as raised:
        parse(changed(path, value))
    assert place in str(raised.value)
    assert str(raised.value).startswith("labels.yaml ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("name: x\nlabels: [a, b\n", "line"),
        ("name: x\n\tlabels: y\n", "line 2"),
        ("name: 'x\n", "line"),
        ("name: x\nversion: !!python/object:os.system 1\n", "line 2"),
        ("a: *nowhere\n", "line 1"),
        ("name: x\x07\n", "character 8"),
        ("labels:\n  - name: date\n    examples: [2024-13-45]\n", "quotation marks"),
        ("", "whole file"),
        ("just text", "whole file"),
        ("- a\n- b\n", "whole file"),
        ("name: x\n---\nname: y\n", "line"),
        ("[" * 5000, "labels.yaml"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(source: str, place: str) -> None:
    with pytest.raises(LabelSchemeError) as raised:
        parse_label_scheme(source, "labels.yaml")
    assert place in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=80))
def test_any_file_is_a_scheme_or_refused(source: str) -> None:
    with pytest.raises(LabelSchemeError):
        parse_label_scheme(source, "labels.yaml")


def test_a_nested_entity_is_in_reading_order() -> None:
    text = "Arrived at the port of Hull."
    spans = [{"port": "port of Hull"}, {"port": "Hull"}]
    assert parse(changed("examples.0", {"text": text, "spans": spans})).examples[0].spans == tuple(spans)
