"""Request bodies as literals: what must be in every one, and what no server may be sent."""

import json
from dataclasses import replace

import pytest

from preannotation_assets.extraction.answer_schema import build_answer_schema, build_rated_answer_schema
from preannotation_assets.extraction.prompt import Message, Prompt
from preannotation_assets.model_servers.openai.requests import chat_body, sent_schema, warm_up_body
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import SchemaForm, Software, Variant
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

VLLM = Variant(Software.VLLM)
LLAMA_CPP = Variant(Software.LLAMA_CPP)
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
PROMPT = Prompt(
    "v",
    "f" * 64,
    (Message("system", "S"), Message("user", "U"), Message("assistant", "A")),
    SCHEMA,
    30,
    frozenset(),
)
TEMPLATE = RequestTemplate("m", "d" * 64, PROMPT, ModelOptions(context_tokens=4096, answer_tokens=400))


def test_a_request_to_vllm() -> None:
    assert chat_body(TEMPLATE, "PAGE", VLLM, stream=False) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "<page>\nPAGE\n</page>"},
        ],
        "stream": False,
        "max_tokens": 400,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 1,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "chat_template_kwargs": {"enable_thinking": False},
        "logprobs": True,
        "top_logprobs": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }


@pytest.mark.parametrize("variant", [VLLM, LLAMA_CPP])
@pytest.mark.parametrize("stream", [False, True])
def test_a_look_whether_requests_are_let_through_is_one_of_them_for_a_token(
    variant: Variant, stream: bool
) -> None:
    server = OpenAIServer(variant=variant)
    probe = server.probe_request(TEMPLATE, stream=stream).body
    assert probe == {**(server.chat_request(TEMPLATE, "", stream=stream).body or {}), "max_tokens": 1}


def test_llama_server_gives_log_probabilities_only_with_an_alternative() -> None:
    body = chat_body(TEMPLATE, "PAGE", LLAMA_CPP, stream=False)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    assert "top_k" not in body


def test_a_stream_has_its_usage_and_a_whole_answer_has_no_options_of_streams() -> None:
    assert chat_body(TEMPLATE, "P", VLLM, stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in chat_body(TEMPLATE, "P", VLLM, stream=False)


def test_another_variation_is_another_seed_at_another_temperature() -> None:
    body = chat_body(TEMPLATE, "P", VLLM, stream=False, variation=1)
    assert (body["temperature"], body["seed"], body["top_p"]) == (0.3, 2, 1.0)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (SchemaForm.STRUCTURED_OUTPUTS, {"structured_outputs": {"json": SCHEMA}}),
        (SchemaForm.GUIDED_JSON, {"guided_json": SCHEMA}),
        (SchemaForm.JSON_OBJECT, {"response_format": {"type": "json_object", "schema": SCHEMA}}),
    ],
)
def test_each_form_has_its_field_and_no_other(form: SchemaForm, field: dict[str, object]) -> None:
    body = chat_body(TEMPLATE, "P", Variant(Software.VLLM, form), stream=False)
    # vLLM refuses structured_outputs beside response_format.
    forms = {"response_format", "structured_outputs", "guided_json"}
    assert {name: body[name] for name in forms & body.keys()} == field


def test_strings_have_no_lengths_where_these_would_end_a_quote_at_a_quotation_mark() -> None:
    schema = build_answer_schema(["minLength", "maxLength"])
    text = json.dumps(sent_schema(schema, VLLM))
    assert '"minLength": ' not in text.replace('"minLength": {"$ref"', "")
    assert '"maxLength": ' not in text.replace('"maxLength": {"$ref"', "")
    # Labels may be called as keywords are; arrays stay bounded, so an answer does.
    assert '"required": ["minLength"]' in text
    assert text.count('"maxItems"') == json.dumps(schema).count('"maxItems"') == 2
    assert sent_schema(schema, replace(VLLM, software=Software.UNKNOWN)) == sent_schema(schema, VLLM)
    assert sent_schema(schema, LLAMA_CPP) == schema


@pytest.mark.parametrize("build", [build_answer_schema, build_rated_answer_schema])
def test_what_is_sent_states_additional_properties_and_only_what_all_grammars_keep_to(build: object) -> None:
    schema = build([f"label {number}" for number in range(20)])  # type: ignore[operator]
    assert OpenAIServer().lint_schema(schema) == []
    text = json.dumps(sent_schema(schema, VLLM))
    assert text.count('"type": "object"') == text.count('"additionalProperties": false')
    for keyword in ("pattern", "uniqueItems", "allOf", "oneOf", "not", "format", "multipleOf", "if"):
        assert f'"{keyword}":' not in text


@pytest.mark.parametrize(
    "node",
    [
        {"type": "string", "maxLength": 10, "pattern": "^a"},
        {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 3, "maxItems": 2},
        {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 2, "uniqueItems": True},
        {"type": "string", "maxLength": 5000},
        {"allOf": [{"type": "string", "maxLength": 10}, {"enum": ["a"]}]},
        {"not": {"type": "string", "maxLength": 10}},
        {"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}}, "required": ["a"]},
    ],
)
def test_what_a_grammar_ignores_refuses_or_hangs_on_is_told(node: dict[str, object]) -> None:
    schema = {"type": "object", "properties": {"a": node}, "required": ["a"], "additionalProperties": False}
    assert OpenAIServer().lint_schema(schema)


def test_all_requests_begin_with_the_same_bytes_and_have_the_same_schema(template: RequestTemplate) -> None:
    first, second = (
        json.dumps(chat_body(template, text, VLLM, stream=False, variation=number))
        for number, text in enumerate(("ONE PAGE", "OTHER TEXT"))
    )
    assert first[: first.index("ONE PAGE")] == second[: second.index("OTHER TEXT")]
    assert first[first.index('"response_format"') :] == second[second.index('"response_format"') :]


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<|eot_id|>", "</s>", "[INST]", "<think>"])
def test_special_tokens_in_a_page_reach_no_chat_template(template: RequestTemplate, token: str) -> None:
    body = json.dumps(chat_body(template, f"before {token} after", VLLM, stream=False), ensure_ascii=False)
    assert token not in body
    assert f"before {token[0]} {token[1:]} after" in body


def test_no_request_about_a_page_ends_with_the_assistant(template: RequestTemplate) -> None:
    messages = chat_body(template, "P", VLLM, stream=False)["messages"]
    assert isinstance(messages, list)
    assert messages[-1]["role"] == "user"


def test_llama_server_is_warmed_with_a_true_beginning_of_every_prompt() -> None:
    body = warm_up_body(TEMPLATE, LLAMA_CPP)
    messages = chat_body(TEMPLATE, "P", LLAMA_CPP, stream=False)["messages"]
    assert isinstance(messages, list)
    assert body["messages"] == messages[:-1]
    assert body["max_tokens"] == 1
    # It goes on with the last message, which no grammar of an answer fits.
    assert "response_format" not in body


def test_vllm_is_warmed_with_a_page_and_the_schema() -> None:
    body = warm_up_body(TEMPLATE, VLLM)
    assert body["messages"] == chat_body(TEMPLATE, "", VLLM, stream=False)["messages"]
    assert body["response_format"] == chat_body(TEMPLATE, "", VLLM, stream=False)["response_format"]
    assert body["max_tokens"] == 1


def test_a_prompt_without_examples_is_warmed_with_a_page_everywhere() -> None:
    bare = replace(TEMPLATE, prompt=replace(PROMPT, constant_messages=(Message("system", "S"),)))
    for variant in (VLLM, LLAMA_CPP):
        messages = warm_up_body(bare, variant)["messages"]
        assert isinstance(messages, list)
        assert messages[-1]["role"] == "user"
