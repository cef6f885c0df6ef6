"""What each grammar lets the model write: the traps of structured output."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from preannotation_assets.simulator import Fault, FaultRule, HabitRates
from preannotation_assets.simulator.entities import EntityKind
from preannotation_assets.simulator.habits import Answer
from preannotation_assets.simulator.openai.grammar import Grammar
from preannotation_assets.simulator.openai.json_writing import json_answer

VERBATIM = HabitRates(repair=0, omit=0, repeat=0, shorten=0, mislabel=0, invent=0, verbatim=1)
MARKED = 'Vessel name: MV "EVER GOLDEN", arrived 12\nMarch 2021.'
PARTS = {"allOf": [{"type": "string"}, {"enum": ["Hamburg", "Rotterdam"]}]}


def spans(choice: Any) -> list[Any]:
    return [value for span in json.loads(choice["message"]["content"])["spans"] for value in span.values()]


def of(keyword: dict[str, Any], kind: str) -> dict[str, Any]:
    """A schema of one property that has a keyword."""
    return {
        "type": "object",
        "properties": {"port": {"type": kind, **keyword}},
        "required": ["port"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("settings", "quotes"),
    [
        ({}, ["MV ", "12"]),
        ({"backend": "xgrammar", "disables_whitespace": True}, ["MV ", "12"]),
        ({"backend": "guidance"}, ['MV "EVER GOLDEN"', "12\nMarch 2021"]),
        ({"flavour": "llama"}, ['MV "EVER GOLDEN"', "12\nMarch 2021"]),
    ],
)
def test_bounded_strings_lose_what_follows_a_mark_under_xgrammar_and_nothing_says_so(
    start: Any, settings: Any, quotes: list[str]
) -> None:
    choice = start(habits=VERBATIM, **settings).choice(MARKED)
    assert spans(choice) == quotes
    assert choice["finish_reason"] == "stop"


def test_strings_without_bounds_keep_their_escapes_under_xgrammar(start: Any) -> None:
    talk = start(habits=VERBATIM)
    choice = talk.choice(MARKED, talk.schema({"type": "string"}))
    assert spans(choice) == ['MV "EVER GOLDEN"', "12\nMarch 2021"]


@pytest.mark.parametrize("flavour", ["vllm", "llama"])
def test_an_answer_keeps_to_the_schema(start: Any, flavour: str) -> None:
    talk = start(flavour=flavour, habits=HabitRates())
    schema = {"type": "object", "properties": {"port": {"type": "array", "items": {"type": "string"}}}}
    choice = talk.choice(schema=schema)
    Draft202012Validator(schema).validate(json.loads(choice["message"]["content"]))
    assert json.loads(choice["message"]["content"])["port"][:2] == ["Hamburg", "Rotterdam"]


@pytest.mark.parametrize(
    ("settings", "blanks"),
    [
        ({}, True),
        ({"backend": "guidance", "disables_whitespace": True}, False),
        ({"flavour": "llama"}, True),
    ],
)
def test_blanks_stand_between_tokens_unless_the_server_forbids_them(
    start: Any, settings: Any, blanks: bool
) -> None:
    content = start(**settings).choice()["message"]["content"]
    assert ('": [' in content) == blanks


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "length"),
        ({"backend": "xgrammar", "disables_whitespace": True}, "stop"),
        ({"flavour": "llama"}, "stop"),
    ],
)
def test_blanks_without_end_fill_the_limit_where_the_grammar_lets_them(
    start: Any, settings: Any, reason: str
) -> None:
    talk = start(endless_whitespace=1.0, **settings)
    choice = talk.choice(max_tokens=90)
    assert choice["finish_reason"] == reason
    assert (choice["message"]["content"].strip() == "{") == (reason == "length")
    assert talk.choice(response_format=None)["finish_reason"] == "stop"


def test_the_whitespace_fault_strikes_one_request(vllm: Any) -> None:
    vllm.simulator.set_faults(FaultRule(Fault.WHITESPACE, requests=(1,)))
    assert [vllm.choice(max_tokens=200)["finish_reason"] for _ in range(2)] == ["length", "stop"]


@pytest.mark.parametrize(
    ("settings", "schema", "status", "answer"),
    [
        ({}, of({"uniqueItems": True, "items": {"type": "string"}}, "array"), 400, None),
        ({"backend": "guidance"}, of({"uniqueItems": True, "items": {}}, "array"), 400, None),
        ({}, of({"not": {"const": "Hamburg"}}, "string"), 200, "Hamburg"),
        ({}, of({"if": {"minLength": 3}, "then": {"maxLength": 2}}, "string"), 200, "Hamburg"),
        ({"backend": "guidance"}, of({"not": {"const": "Hamburg"}}, "string"), 400, None),
        ({"backend": "guidance"}, of({"if": {"minLength": 3}}, "string"), 400, None),
        ({"flavour": "llama"}, of({"not": {"const": "Hamburg"}}, "string"), 200, "Hamburg"),
        ({}, of({"pattern": "^[A-Za-z]+$", "maxLength": 3}, "string"), 200, "Hamburg"),
        ({"backend": "guidance"}, of({"pattern": "^[A-Za-z]+$", "maxLength": 3}, "string"), 200, "Ham"),
        ({"flavour": "llama"}, of({"pattern": "^[A-Za-z]+$", "maxLength": 3}, "string"), 200, "Hamburg"),
        ({}, of({"minItems": 3, "maxItems": 2}, "array"), 400, None),
        ({}, of({"$ref": "#/$defs/none"}, "string"), 400, None),
        ({}, of({}, "text"), 400, None),
        ({}, of({"pattern": "["}, "string"), 400, None),
        ({"flavour": "llama"}, of({"$ref": "#/$defs/none"}, "string"), 400, None),
        ({"flavour": "llama"}, of({}, "text"), 400, None),
        ({"flavour": "llama"}, of({"maxLength": 2000}, "string"), 400, None),
        ({"flavour": "llama"}, of({"maxItems": 2000}, "array"), 400, None),
        ({"flavour": "llama"}, of({"maxLength": 5000}, "string"), 200, "Hamburg"),
        ({"flavour": "llama"}, of({"prefixItems": [{}], "items": False}, "array"), 400, None),
        ({"backend": "xgrammar"}, of({"multipleOf": 7}, "integer"), 400, None),
    ],
)
def test_keywords_are_refused_or_ignored_by_the_table(
    start: Any, settings: Any, schema: Any, status: int, answer: Any
) -> None:
    talk = start(**settings)
    response = talk.chat(schema=schema)
    assert response.status_code == status, response.text
    if status == 200:
        assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"port": answer}
        return
    message = response.json()["error"]["message"]
    prefix = "Grammar error: " if settings.get("flavour") != "llama" else ("JSON schema", "failed to parse")
    assert message.startswith(prefix)


@pytest.mark.parametrize(
    ("settings", "answer"),
    [({}, {"port": "Hamburg"}), ({"backend": "guidance"}, {"port": "Hamburg"})],
)
def test_two_parts_are_a_free_string_to_xgrammar(start: Any, settings: Any, answer: Any) -> None:
    schema = {"type": "object", "properties": {"port": PARTS}, "required": ["port"]}
    assert json.loads(start(**settings).choice(schema=schema)["message"]["content"]) == answer
    free = json.loads(start(**settings).choice("From Bremen", schema)["message"]["content"])["port"]
    assert (free in PARTS["allOf"][1]["enum"]) == bool(settings)


def test_two_parts_are_an_empty_object_to_llama(llama: Any) -> None:
    schema = {"type": "object", "properties": {"port": PARTS}, "required": ["port"]}
    assert json.loads(llama.choice(schema=schema)["message"]["content"]) == {"port": {}}


def test_the_first_structured_request_decides_what_compiles_all_later_ones(start: Any) -> None:
    steps = of({"multipleOf": 7}, "integer")
    needs_guidance_first = start(habits=VERBATIM)
    assert needs_guidance_first.chat(schema=steps).status_code == 200
    assert spans(needs_guidance_first.choice(MARKED)) == ['MV "EVER GOLDEN"', "12\nMarch 2021"]
    plain_first = start(habits=VERBATIM)
    assert spans(plain_first.choice(MARKED)) == ["MV ", "12"]
    port = of({"multipleOf": 7, "minimum": 15}, "integer")
    assert json.loads(plain_first.choice(schema=port)["message"]["content"])["port"] == 15
    assert json.loads(needs_guidance_first.choice(schema=port)["message"]["content"])["port"] == 21


def test_a_schema_that_llama_cannot_end_hangs_until_the_client_goes(start: Any) -> None:
    llama = start(flavour="llama")
    body = llama.body(schema=of({"minItems": 3, "maxItems": 2}, "array"))
    with pytest.raises(Exception, match="timed out"):
        llama.client.post("/v1/chat/completions", json=body, timeout=0.3)
    assert llama.chat().status_code == 200


def test_fields_of_other_versions_are_ignored(vllm: Any) -> None:
    choice = vllm.choice(response_format=None, guided_json={"type": "object"}, no_such_field=1)
    assert choice["message"]["content"].startswith("vessel_name: ")


def test_structured_outputs_is_vllms_own_way_and_not_both(vllm: Any) -> None:
    own = {"json": {"type": "object", "properties": {"port": {"type": "string"}}}}
    choice = vllm.choice(response_format=None, structured_outputs=own)
    assert json.loads(choice["message"]["content"]) == {"port": "Hamburg"}
    assert vllm.chat(structured_outputs=own).status_code == 400


@pytest.mark.parametrize(("flavour", "status"), [("vllm", 400), ("llama", 200)])
def test_only_vllm_asks_for_a_name_and_an_object(start: Any, flavour: str, status: int) -> None:
    talk = start(flavour=flavour)
    for described in ({"schema": {"type": "object"}}, {"name": "x", "schema": "hello"}):
        response_format = {"type": "json_schema", "json_schema": described}
        assert talk.chat(response_format=response_format).status_code == status


def test_an_object_without_schema_is_enforced_by_vllm_only(vllm: Any, llama: Any) -> None:
    asked = {"type": "json_object"}
    assert json.loads(vllm.choice(response_format=asked)["message"]["content"])["port"]
    assert not llama.choice(response_format=asked)["message"]["content"].startswith("{")


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), max_size=4), st.booleans())
def test_any_quote_comes_whole_or_is_cut_and_never_escaped(quotes: list[str], cuts: bool) -> None:
    schema = {"type": "object", "properties": {"port": {"type": "array", "items": {"$ref": "#/$defs/quote"}}}}
    schema["$defs"] = {"quote": {"type": "string", "minLength": 1, "maxLength": 300}}
    answers = [Answer(EntityKind.PORT, quote, 1.0) for quote in quotes]
    text = "".join(token.text for token in json_answer(Grammar(schema, cuts_bounded=cuts), answers))
    written = json.loads(text, strict=not cuts).get("port", [])
    if not cuts:
        assert written == quotes
    else:
        assert len(written) == len(quotes)
        assert not any(mark in quote for quote in written for mark in '"\\\r\n')
        assert all(short in quote or short == "x" for short, quote in zip(written, quotes, strict=True))
