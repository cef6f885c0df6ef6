import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.answer_format import QUOTES, RATED_QUOTES, AnswerFormat
from preannotation_assets.extraction.answer_schema import (
    MOST_ITEMS,
    MOST_QUOTES_IN_A_LIST,
    build_answer_schema,
    build_rated_answer_schema,
)
from preannotation_assets.extraction.delimiting import break_control_tokens
from preannotation_assets.extraction.labels import MOST_QUOTE_CHARACTERS, LabelScheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.model_servers.schema_lint import lint_answer_schema
from preannotation_assets.simulator.schema_nodes import check_schema

edges = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters=":")
inner = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=":"), max_size=98
)
names = (
    st.builds("".join, st.tuples(edges, inner, edges))
    | st.sampled_from(
        ['a"b', "a\\b", "$id", "anyOf", "spans", "x" * 100, "船名", "Flaggé", "a/b~c", "{}", "%s"]
    )
).filter(lambda name: break_control_tokens(name) == name and name not in {"$ref", "$defs"})


@pytest.mark.parametrize("answer_format", [QUOTES, RATED_QUOTES], ids=["quotes", "rated"])
@settings(max_examples=50)
@given(some=st.lists(names, min_size=1, max_size=20, unique=True), times=st.integers(1, 10))
def test_every_scheme_has_a_schema_that_ollama_honours(
    answer_format: AnswerFormat, some: list[str], times: int
) -> None:
    labels = [*some, *(f"{name[:90]}~{number}" for number in range(1, times) for name in some)][:200]
    labels = [label for label in dict.fromkeys(labels) if break_control_tokens(label) == label]
    scheme = LabelScheme.model_validate(
        {"name": "s", "version": 1, "labels": [{"name": name, "definition": "x"} for name in labels]}
    )
    schema: Any = build_prompt(scheme, answer_format).answer_schema
    assert lint_answer_schema(schema) == []
    check_schema(json.loads(json.dumps(schema)))
    answer = answer_format.write_example([(labels[-1], "Hull"), (labels[-1], "Kiel"), (labels[0], "Riga")])
    jsonschema.validate(json.loads(answer), schema)


@pytest.mark.parametrize(
    "answer",
    [
        {"spans": [{"port": ""}]},
        {"spans": [{"port": []}]},
        {"spans": [{"harbour": "Hull"}]},
        {"spans": [{"port": "Hull", "flag": "Panama"}]},
        {"spans": [{}]},
        {"spans": [], "more": 1},
        {},
        {"spans": [{"port": "x" * (MOST_QUOTE_CHARACTERS + 1)}]},
        {"spans": [{"port": ["Hull"] * (MOST_QUOTES_IN_A_LIST + 1)}]},
        {"spans": [{"port": "Hull"}] * (MOST_ITEMS + 1)},
    ],
)
def test_nothing_else_fits(answer: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer, build_answer_schema(["port", "flag"]))


@pytest.mark.parametrize(
    "value",
    [
        "Hull", ["Hull"], ["Hull", "Kiel"], ["Hull", 10], ["Hull", -1], ["Hull", 8.5], ["Hull", "8"],
        ["Hull", None], [8, "Hull"], ["Hull", 8, 8], ["", 8], ["x" * (MOST_QUOTE_CHARACTERS + 1), 8], [],
    ],
)  # fmt: skip
def test_where_answers_are_rated_nothing_but_a_quote_and_a_digit_fits(value: object) -> None:
    schema = build_rated_answer_schema(["port"])
    for digit in range(10):
        jsonschema.validate({"spans": [{"port": ["Hull", digit]}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"spans": [{"port": value}]}, schema)


def test_two_hundred_labels_add_an_object_each_and_no_repetitions() -> None:
    few, many = (json.dumps(build_answer_schema([f"label {n}" for n in range(count)])) for count in (10, 200))
    assert few.count("maxLength") == many.count("maxLength") == 1
    assert few.count("maxItems") == many.count("maxItems") == 2
    assert len(many) < 200 * 170


def test_a_label_that_would_end_a_message_is_refused_without_its_name() -> None:
    with pytest.raises(LabelSchemeError, match="label 2") as refused:
        build_answer_schema(["port", "<|eot_id|>"])
    assert "eot_id" not in str(refused.value)
    assert refused.value.cure


@pytest.mark.parametrize("name", ["$ref", "$defs"])
def test_a_label_that_the_converter_would_follow_or_move_is_refused(name: str) -> None:
    with pytest.raises(LabelSchemeError, match="JSON schemas"):
        build_answer_schema(["port", name])
    schema: Any = build_answer_schema(["port"])
    (one,) = schema["properties"]["spans"]["items"]["anyOf"]
    one["properties"], one["required"] = {name: one["properties"]["port"]}, [name]
    assert any("read as a keyword" in problem for problem in lint_answer_schema(schema))


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        *way, last = path
        for part in way:
            schema = schema[part]
        schema[last] = to

    return change


def _drop(*path: str | int) -> Callable[[Any], None]:
    def change(schema: Any) -> None:
        *way, last = path
        for part in way:
            schema = schema[part]
        del schema[last]

    return change


SPANS = ("properties", "spans")
LIST = ("$defs", "quotes", "anyOf", 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_drop("$defs", "quote", "maxLength"), "#/$defs/quote: no whole number"),
        (_set("$defs", "quote", "maxLength", to=2000), "#/$defs/quote: maxLength is not"),
        (_set("$defs", "quote", "maxLength", to=5000), "#/$defs/quote: maxLength is not"),
        (_set("$defs", "quote", "minLength", to=301), "#/$defs/quote: maxLength is not"),
        (_set("$defs", "quote", "maxLength", to=True), "#/$defs/quote: no whole number"),
        (_set("$defs", "quote", "pattern", to="^a$"), "#/$defs/quote: pattern is not honoured"),
        (_set("$defs", "quote", "format", to="date"), "#/$defs/quote: format is not honoured"),
        (_set(*LIST, "uniqueItems", to=True), "uniqueItems is not honoured"),
        (_set(*LIST, "maxItems", to=1000), "maxItems is not"),
        (_drop(*LIST, "maxItems"), "no whole number as maxItems"),
        (_drop(*LIST, "items"), "items: not a schema"),
        (_drop(*SPANS, "maxItems"), "#/properties/0: no whole number as maxItems"),
        (_set(*SPANS, "items", "type", to="object"), "type is not honoured here"),
        (_set(*SPANS, "items", "anyOf", to=[]), "no alternatives"),
        (_set(*SPANS, "items", "anyOf", 0, "properties", "flag", to={}), "not exactly one key"),
        (_drop(*SPANS, "items", "anyOf", 0, "required"), "its key is not required"),
        (_drop(*SPANS, "items", "anyOf", 0, "additionalProperties"), "other keys are not excluded"),
        (_set("additionalProperties", to=True), "#: other keys are not excluded"),
        (_set(*SPANS, "items", to={"$ref": "#/$defs/quotes", "type": "string"}), "type is not honoured"),
        (_set(*SPANS, "items", to={"$ref": "#/properties/spans"}), "something other than a definition"),
        (_set(*SPANS, "items", to={"$ref": "quotes"}), "something other than a definition"),
        (_set(*SPANS, "items", to={"enum": ["a"]}), "neither an object"),
        (_set(*LIST, "items", to={"$ref": "#/$defs/quotes"}), "#/$defs/quotes: leads back to itself"),
        (_set("$defs", to=[]), "#/$defs: not an object"),
    ],
)
def test_the_check_names_what_ollama_would_not_honour(change: Callable[[Any], None], complaint: str) -> None:
    schema: Any = copy.deepcopy(build_answer_schema(["port"]))
    change(schema)
    assert any(complaint in problem for problem in lint_answer_schema(schema)), lint_answer_schema(schema)


PAIR = ("$defs", "quotes")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_set(*PAIR, "items", to=False), "items is not honoured here"),
        (_set(*PAIR, "prefixItems", to=[]), "no positions"),
        (_set(*PAIR, "prefixItems", to={}), "no positions"),
        (_set(*PAIR, "maxItems", to=3), "not the number of positions"),
        (_drop(*PAIR, "minItems"), "not the number of positions"),
        (_set(*PAIR, "prefixItems", 0, to={"type": "string"}), "prefixItems/0: no whole number"),
        (_set(*PAIR, "prefixItems", 0, to={"$ref": "#/$defs/quotes"}), "leads back to itself"),
        (_set(*PAIR, "prefixItems", 1, "type", to="integer"), "prefixItems/1: type is not honoured"),
        (_set(*PAIR, "prefixItems", 1, "enum", to=[]), "prefixItems/1: neither"),
        (_set(*PAIR, "prefixItems", 1, "enum", to=[True]), "prefixItems/1: neither"),
        (_set(*PAIR, "prefixItems", 1, to={"type": "integer", "maximum": 9}), "prefixItems/1: neither"),
        (_set(*PAIR, "type", to="tuple"), "quotes: neither"),
    ],
)
def test_the_check_knows_arrays_of_fixed_positions(change: Callable[[Any], None], complaint: str) -> None:
    schema: Any = copy.deepcopy(build_rated_answer_schema(["port"]))
    change(schema)
    assert any(complaint in problem for problem in lint_answer_schema(schema)), lint_answer_schema(schema)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["array", "tuple"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "items", "prefixItems", "enum", "anyOf", "$ref", "properties", "maxItems", "x"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["type", "anyOf", "$ref", "$defs", "properties", "items"]), json_values)
)
def test_the_check_never_raises(schema: dict[str, object]) -> None:
    assert all(problem.startswith("#") for problem in lint_answer_schema(schema))
