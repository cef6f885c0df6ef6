"""The answer is valid against whatever schema is sent, and carries the answers it has room for."""

from dataclasses import replace
from itertools import groupby
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator.entities import EntityKind
from preannotation_assets.simulator.habits import Answer
from preannotation_assets.simulator.patterns import check_pattern, matches_pattern, shortest_match
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.schema import fill_schema, plain_value
from preannotation_assets.simulator.self_reports import rate_answers

KINDS = [kind.value for kind in EntityKind]
LABELS = st.lists(
    st.sampled_from([*KINDS, "Ship", "captain", "LOCATION", "organisation", "unknown", "text", "x"]),
    min_size=1,
    max_size=6,
    unique=True,
)
QUOTES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
ANSWERS = st.lists(st.builds(Answer, st.sampled_from(list(EntityKind)), QUOTES, st.just(1.0)), max_size=12)
LENGTHS = st.tuples(st.integers(0, 5), st.integers(0, 40)).map(
    lambda pair: {"minLength": pair[0], "maxLength": pair[0] + pair[1]}
)
SIZES = st.tuples(st.integers(0, 3), st.integers(0, 9)).map(
    lambda pair: {"minItems": pair[0], "maxItems": pair[0] + pair[1]}
)
STRINGS = LENGTHS.map(lambda lengths: {"type": "string", **lengths})


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@st.composite
def one_key_schemas(draw: st.DrawFn) -> dict[str, Any]:
    keyword = draw(st.sampled_from(["anyOf", "oneOf"]))
    items = [_object({label: draw(STRINGS)}, [label]) for label in draw(LABELS)]
    return _object({"spans": {"type": "array", **draw(SIZES), "items": {keyword: items}}}, ["spans"])


@st.composite
def labelled_schemas(draw: st.DrawFn) -> dict[str, Any]:
    labels = draw(LABELS)
    label = draw(st.sampled_from([{"enum": labels}, {"anyOf": [{"const": each} for each in labels]}]))
    extras = {"start": {"type": "integer", "minimum": 3}, "sure": {"type": "boolean"}}
    item = _object({"label": label, "text": draw(STRINGS), **extras}, ["text", "label", "start"])
    return {"type": "array", **draw(SIZES), "items": item}


@st.composite
def grouped_schemas(draw: st.DrawFn) -> dict[str, Any]:
    labels = draw(LABELS)
    values = {label: {"type": "array", **draw(SIZES), "items": draw(STRINGS)} for label in labels}
    return _object(values, draw(st.lists(st.sampled_from(labels), unique=True)))


LEAVES = st.one_of(
    STRINGS,
    st.integers(-50, 50).map(lambda low: {"type": "integer", "minimum": low, "maximum": low + 3}),
    st.integers(-50, 50).map(lambda low: {"type": "number", "exclusiveMinimum": low}),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": {"a": [1]}},
            {"enum": [3, "b", None]},
            {"type": ["string", "null"]},
            {},
            True,
            {"type": "string", "pattern": "^[A-Z]{2}-(a|bc)+x?$"},
        ]
    ),
)


def _nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["port", "a", "spans", "date", "label", "vessel"])
    objects = st.dictionaries(names, children, max_size=3).flatmap(
        lambda properties: st.lists(st.sampled_from(sorted(properties) or ["z"]), unique=True).map(
            lambda required: {"type": "object", "properties": properties, "required": required}
        )
    )
    arrays = st.tuples(children, SIZES).map(lambda pair: {"type": "array", "items": pair[0], **pair[1]})
    unions = st.lists(children, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches})
    return st.one_of(objects, arrays, unions)


ODD_SCHEMAS = st.recursive(LEAVES, _nested, max_leaves=8).map(
    lambda schema: schema if isinstance(schema, dict) else {"items": schema}
)


@given(st.one_of(one_key_schemas(), labelled_schemas(), grouped_schemas(), ODD_SCHEMAS), ANSWERS)
def test_every_answer_is_valid(schema: dict[str, Any], answers: list[Answer]) -> None:
    jsonschema.validate(plain_value(fill_schema(schema, answers)), schema)


@given(ANSWERS)
def test_three_shapes_carry_all_answers_in_order(answers: list[Answer]) -> None:
    value = {"type": "string"}
    expected = [(answer.kind.value, answer.text) for answer in answers]
    one_key = {"type": "array", "items": {"anyOf": [_object({kind: value}, [kind]) for kind in KINDS]}}
    filled: Any = plain_value(fill_schema(one_key, answers))
    assert [next(iter(item.items())) for item in filled] == expected
    labelled = {"type": "array", "items": _object({"label": {"enum": KINDS}, "text": value}, ["label"])}
    filled = plain_value(fill_schema(labelled, answers))
    assert [(item["label"], item["text"]) for item in filled] == expected
    arrays = {kind: {"type": "array", "items": value} for kind in KINDS}
    filled = plain_value(fill_schema(_object(arrays, KINDS), answers))
    assert [(kind, text) for kind in KINDS for text in filled[kind]] == sorted(
        expected, key=lambda pair: KINDS.index(pair[0])
    )


@given(ANSWERS)
def test_neighbours_of_one_label_share_a_list_where_the_schema_has_one(answers: list[Answer]) -> None:
    text = {"type": "string"}
    value = {"anyOf": [text, {"type": "array", "minItems": 1, "maxItems": 3, "items": text}]}
    items = {"type": "array", "items": {"anyOf": [_object({kind: value}, [kind]) for kind in KINDS]}}
    filled: Any = plain_value(fill_schema(items, answers))
    runs = [
        (kind, [each.text for each in run]) for kind, run in groupby(answers, lambda each: each.kind.value)
    ]
    expected: list[Any] = []
    for kind, texts in runs:
        lists = len(texts) in {2, 3}
        expected.extend([{kind: texts}] if lists else [{kind: each} for each in texts])
    assert filled == expected


@given(ANSWERS, st.integers(0, 9))
def test_a_digit_stands_behind_a_quote_where_the_schema_has_a_place_for_it(
    answers: list[Answer], digit: int
) -> None:
    rated = {"type": "array", "prefixItems": [{"type": "string"}, {"enum": list(range(10))}],
             "minItems": 2, "maxItems": 2}  # fmt: skip
    schema = {
        "type": "array",
        "items": {"anyOf": [_object({kind: {"$ref": "#/$defs/rated"}}, [kind]) for kind in KINDS]},
        "$defs": {"rated": rated},
    }
    answers = [replace(each, digit=digit) for each in answers]
    filled: Any = plain_value(fill_schema(schema, answers))
    jsonschema.validate(filled, schema)
    assert filled == [{each.kind.value: [each.text, digit]} for each in answers]


def test_digits_are_lower_for_wrong_answers_and_all_alike_without_a_signal() -> None:
    qualities = {"right": 1.0, "repaired": 0.7, "shortened": 0.35, "invented": 0.1}
    answers = [
        Answer(EntityKind.PORT, f"{name} {number}", quality)
        for name, quality in qualities.items()
        for number in range(50)
    ]
    rated = [each.digit for each in rate_answers(answers, 3, has_signal=True)]
    means = [sum(rated[start : start + 50]) / 50 for start in range(0, 200, 50)]
    assert means[0] == 9 > means[1] > means[2] > means[3]
    assert len(set(rated)) > 5
    assert rated == [each.digit for each in rate_answers(answers, 3, has_signal=True)]
    assert {each.digit for each in rate_answers(answers, 3, has_signal=False)} == {9}


def test_synonyms_and_unknown_labels() -> None:
    answers = [Answer(EntityKind.VESSEL_NAME, "A", 1.0), Answer(EntityKind.PORT, "B", 1.0)]
    item = _object(
        {"type": {"enum": ["SHIP", "Hull-Colour"]}, "value": {"type": "string"}}, ["type", "value"]
    )
    assert plain_value(fill_schema({"type": "array", "items": item}, answers)) == [
        {"type": "SHIP", "value": "A"}
    ]
    unknown = _object({"hull_colour": {"type": "array", "items": {"type": "string"}}}, ["hull_colour"])
    assert plain_value(fill_schema(unknown, answers)) == {"hull_colour": []}


def test_the_more_specific_of_two_labels_gets_the_answer() -> None:
    answers = [Answer(EntityKind.MASTER, "K. Singh", 1.0), Answer(EntityKind.PERSON, "Mr. Rae", 1.0)]
    quotes = {"type": "array", "items": {"type": "string"}}
    both = _object({"person": quotes, "master": quotes}, [])
    assert plain_value(fill_schema(both, answers)) == {"person": ["Mr. Rae"], "master": ["K. Singh"]}
    alone = _object({"person": quotes}, [])
    assert plain_value(fill_schema(alone, answers)) == {"person": ["K. Singh", "Mr. Rae"]}


def test_local_references_and_recursion_end() -> None:
    node = _object(
        {"port": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}, []
    )
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {**node, "required": ["port", "next"]}}}
    filled: Any = plain_value(fill_schema(schema, [Answer(EntityKind.PORT, "Kiel", 1.0)]))
    jsonschema.validate(filled, schema)
    assert filled["port"] == "Kiel"
    endless = _object({"next": {"$ref": "#"}}, ["next"])
    with pytest.raises(RefusedError):
        fill_schema(endless, [])


@pytest.mark.parametrize(
    "pattern", ["^$", "^a|b$", "^(ab|c){2,3}d*$", "^[^a-z]+\\.x$", "^.{3}$", "^[\\]\\-]$"]
)
def test_shortest_match_matches(pattern: str) -> None:
    check_pattern(pattern)
    assert matches_pattern(pattern, shortest_match(pattern))


@pytest.mark.parametrize(
    "pattern", ["abc", "^abc", "^\\d$", "^(a$", "^[a$", "^a)$", "^(?=a)$", "^*$", "^[z-a]$"]
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(RefusedError) as refused:
        check_pattern(pattern)
    assert refused.value.status == 400
