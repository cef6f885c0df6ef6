import copy
import pickle
import re
from typing import Any

import pytest
import yaml

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.labels import LabelScheme, check_label_scheme, parse_label_scheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.values import DEFAULT_LOWER_FACTOR, OnInvalid, ValueCheck, ValueRule

SCHEME: dict[str, Any] = {
    "name": "vessels",
    "version": 3,
    "labels": [
        {"name": "port", "definition": "A place.", "examples": ["Hull", "Köln"], "excludes": "Streets."},
        {"name": 'Schiff "№ 1" {x}', "definition": "A ship."},
        {"name": "year", "definition": "A year.", "pattern": r"\d{4}"},
    ],
    "examples": [
        {"text": "The Marie of Hull, from Hull.\n", "spans": [{"port": "Hull"}, {"port": "Hull"}]},
        {"text": "Nothing.", "spans": []},
        {"text": "Built in l974, lost in 1980.", "spans": [{"year": "1980"}]},
    ],
}


def parse(scheme: Any) -> LabelScheme:
    return parse_label_scheme(yaml.safe_dump(scheme, allow_unicode=True, sort_keys=False), "labels.yaml")


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
    assert scheme.label_names == ("port", 'Schiff "№ 1" {x}', "year")
    assert scheme.overlaps is False
    assert scheme.labels[0].examples == ("Hull", "Köln")
    assert scheme.examples[0].text == "The Marie of Hull, from Hull.\n"
    assert pickle.loads(pickle.dumps(scheme)) == scheme
    assert parse(SCHEME | {"overlaps": True}).overlaps is True


def test_values_need_no_quotation_marks() -> None:
    source = (
        "name: x\nversion: 1\nlabels:\n"
        "- {name: no, definition: 1974, examples: [1974, 02.11, 2024-13-45, 0x1F, 1_0, yes, 12:30:45]}\n"
        "- {name: 7, definition: d, excludes: }\n"
        "- {name: z, definition: d, excludes: null, lower_factor: 0, pattern: '.'}\n"
    )
    scheme = parse_label_scheme(source, "x")
    assert scheme.label_names == ("no", "7", "z")
    assert scheme.labels[0].examples == ("1974", "02.11", "2024-13-45", "0x1F", "1_0", "yes", "12:30:45")
    assert [label.excludes for label in scheme.labels] == [None, None, None]


def test_rules_are_plain_data_with_defaults() -> None:
    labels = [
        {"name": "a", "definition": "d", "pattern": "x"},
        {"name": "b", "definition": "d", "check": "imo_check_digit", "on_invalid": "reject"},
        {"name": "c", "definition": "d", "pattern": "x", "on_invalid": "lower", "lower_factor": 0.25},
        {"name": "d", "definition": "d"},
    ]
    rules = parse({"name": "x", "version": 1, "labels": labels}).value_rules
    assert rules == {
        "a": ValueRule("x", None, OnInvalid.LOWER, DEFAULT_LOWER_FACTOR),
        "b": ValueRule(None, ValueCheck.IMO_CHECK_DIGIT, OnInvalid.REJECT, DEFAULT_LOWER_FACTOR),
        "c": ValueRule("x", None, OnInvalid.LOWER, 0.25),
    }


def test_rules_titles_and_colors_change_nothing_of_what_the_model_is_asked() -> None:
    before = build_prompt(parse(SCHEME))
    shown = {"title": "Hafen", "color": "#00ff00", "pattern": r"\p{L}+", "on_invalid": "reject"}
    after = parse(changed("labels.0", SCHEME["labels"][0] | shown))
    assert after.value_rules.keys() == {"port", "year"}
    assert build_prompt(after) == before


def test_where_an_example_was_learned_changes_nothing_of_what_the_model_is_asked() -> None:
    source = {"dataset": "vessels_ocr_7", "document": "0123456789abcdef"}
    learned = parse(changed("examples.0", SCHEME["examples"][0] | {"source": source}))
    assert build_prompt(learned) == build_prompt(parse(SCHEME))
    assert learned.learned_from == {"0123456789abcdef"}
    assert parse(SCHEME).learned_from == set()


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("name", ..., "name: missing"),
        ("name", "two words", "name"),
        ("version", 0, "version"),
        ("version", "one", "version"),
        ("labels", ..., "labels: missing"),
        ("labels", [], "labels"),
        ("labels", [{"name": f"l{index}", "definition": "x"} for index in range(201)], "labels"),
        ("labels.0", "port", "label 1: not valid"),
        ("labels.0.name", "", "label 1, name"),
        ("labels.0.name", " port", "label 1, name"),
        ("labels.0.name", "a:b", "label 1, name"),
        ("labels.0.name", "a\nb", "label 1, name"),
        ("labels.0.name", "a\0b", "label 1, name"),
        ("labels.0.name", "x" * 101, "label 1, name"),
        ("labels.0.name", ["port"], "label 1, name"),
        ("labels.0.name", "<|eot_id|>", "label 1, name: a model may read"),
        ("labels.0.definition", ..., "label 1, definition: missing"),
        ("labels.0.definition", "  ", "label 1, definition"),
        ("labels.0.examples", "Hull", "label 1, examples"),
        ("labels.0.examples.1", [], "label 1, example 2"),
        ("labels.1.name", "port", "label 2, name: another label has the same name"),
        ("labels.1.title", "port", "label 2, title: another label is shown by the same words"),
        ("labels.1.title", "two\nlines", "label 2, title"),
        ("labels.1.title", "x" * 501, "label 2, title"),
        ("labels.1.color", "red", "label 2, color"),
        ("labels.1.colour", "red", "label 2: unknown field: did you mean color?"),
        ("labels.1.pattern", "(", "label 2, pattern: is no regular expression"),
        ("labels.1.pattern", "(a|aa)+$", "label 2, pattern: takes too long"),
        ("labels.1.pattern", "x" * 501, "label 2, pattern"),
        ("labels.1.check", "mmsi", "check: not valid: write one of: imo_check_digit, imo_company_check"),
        ("labels.1.on_invalid", "lower", "label 2, on_invalid: there is no rule"),
        ("labels.1.lower_factor", 0.5, "label 2, lower_factor: there is no rule"),
        ("examples.0.source", "vessels_ocr_7", "example 1, source: not valid: write dataset and document"),
        ("examples.0.source", {"dataset": "d"}, "example 1, source"),
        ("examples.0.source", {"dataset": "d", "document": "a/b"}, "example 1, source"),
        ("examples.0.source", {"dataset": "d", "document": "0" * 16, "documnt": "x"}, "mean document?"),
        ("labels.2.on_invalid", "drop", "label 3, on_invalid"),
        ("labels.2.lower_factor", 1.5, "label 3, lower_factor"),
        ("labels.2.lower_factor", "nan", "label 3, lower_factor"),
        ("labels.2.examples", ["l974"], "label 3, example 1: invalid by the label's own"),
        ("overlap", True, "did you mean overlaps?"),
        ("overlaps", "sometimes", "overlaps"),
        ("examples.0.text", " \n", "example 1, text"),
        ("examples.0.spans.0", {"port": "Kiel"}, "example 1, span 1: the quote is not in"),
        ("examples.0.spans.1", {"port": "hull"}, "example 1, span 2: the quote is not in"),
        ("examples.0.spans.1", {"port": "Marie"}, "example 1, span 2: not in reading order"),
        ("examples.0.spans.1", {"port": "Hul"}, "example 1, span 2: grounding does not find"),
        ("examples.0.spans.0", {"port": "Hull", "x": "Marie"}, "example 1, span 1: not valid"),
        ("examples.0.spans.0", {}, "example 1, span 1: not valid"),
        ("examples.0.spans.0", {"port": ""}, "example 1, span 1: not valid"),
        ("examples.0.spans.0", {"port": "x" * 301}, "example 1, span 1: not valid"),
        ("examples.0.spans.0", {"harbour": "Hull"}, "example 1, span 1: no label has that name"),
        ("examples.0.spans", "Hull", "example 1, spans"),
        ("examples.2.spans", [{"year": "l974"}], "example 3, span 1: invalid by the pattern"),
        ("examples.1", {"text": "At Kiel.", "spans": [{"port": "At Kiel"}, {"port": "Kiel"}]}, "overlaps a"),
        ("examples.0.spans", [{"port": "Hull"}] * 3, "(already_taken): quote whole words"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_place_in_one_line(path: str, value: Any, place: str) -> None:
    with pytest.raises(LabelSchemeError) as raised:
        parse(changed(path, value))
    assert place in str(raised.value)
    assert re.match(r"labels\.yaml:\d+: ", str(raised.value))
    assert raised.value.cure
    assert "\n" not in str(raised.value)


def test_overlapping_spans_are_an_example_where_overlaps_are_allowed() -> None:
    text = "Arrived at the port of Hull."
    spans = [{"port": "port of Hull"}, {"port": "Hull"}]
    scheme = changed("examples.0", {"text": text, "spans": spans}) | {"overlaps": True}
    assert parse(scheme).examples[0].spans == tuple(spans)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("name: x\nlabels: [a, b\n", ":2: not YAML: close the brackets"),
        ("name: x\n\tlabels: y\n", ":2: not YAML: indent with blanks"),
        ("name: x\nversion: 'x\n\n", ":2: not YAML: close the quotation marks"),
        ("name: x\nversion: !!python/object:os.system 1\n", ":2: not YAML: put a text that begins with !"),
        ("name: x\nversion: !!int one\n", ":2: not YAML: put a text that begins with !"),
        ("name: x\nversion: !!timestamp one\n", ":2: not YAML: put a text that begins with !"),
        ("a: *nowhere\n", ":1: not YAML: put a text that begins with *"),
        ("a: b\n? [c]\n: d\n", ":2: not YAML: put a text that begins with ["),
        ("name: x\ntext: The ship: Marie\n", ":2: not YAML: put a text that has a colon"),
        ("a: b\nname: x\x07\n", ":2: a control character: remove it: character 13"),
        ("", ":1: not valid"),
        ("just text", ":1: not valid"),
        ("- a\n- b\n", ":1: not valid"),
        ("name: x\n---\nname: y\n", ":2: not YAML: keep one scheme"),
        ("[" * 700, ":1: the file is nested too deeply"),
        ("name: x\nversion: 1\nname: y\n", ":3: name: a key a second time"),
        ("name: x\nversion: 1\nlabels: &a [*a]\n", ":3: label 1: not valid"),
        ("name: x\nversion: 1\nlabels: [{<<: {name: a}}]\n", ":3: label 1"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line_and_a_cure(source: str, place: str) -> None:
    told = [str(error) for error in check_label_scheme(source, "labels.yaml").errors]
    assert any(f"labels.yaml{place}" in line for line in told), told
    assert all("\n" not in line for line in told)
