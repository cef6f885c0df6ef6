"""The bodies of ``/v1/chat/completions``. Pure.

Fields as vLLM 0.32 and llama-server b10434 accept them. Both ignore fields they do not know.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from preannotation_assets.extraction.prompt import Message
from preannotation_assets.model_servers.openai.variant import SchemaForm, Software, Variant
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

__all__ = ["LIMIT_FIELD", "chat_body", "completion_body", "sent_schema", "warm_up_body"]

LIMIT_FIELD: Final = "max_tokens"
"""The field for the longest answer; its successor ``max_completion_tokens`` is unknown to older servers."""

_SCHEMA_NAME: Final = "answer"
_LENGTHS: Final = frozenset({"minLength", "maxLength"})
# Servers of these kinds take what a request leaves out from the model's generation_config.
_WITH_GENERATION_CONFIG: Final = frozenset({Software.VLLM, Software.SGLANG})


def chat_body(
    template: RequestTemplate, chunk_text: str, variant: Variant, *, stream: bool, variation: int = 0
) -> dict[str, object]:
    """The body of a request about one text.

    Thinking is off where the model's chat template knows it. The schema is the same text in all requests,
    because servers keep the grammar that they made of it.
    """
    body = completion_body(
        template.model,
        template.prompt.messages(chunk_text),
        template.options.varied(variation),
        template.prompt.answer_schema,
        variant,
    )
    # vLLM gives the chosen token's with 0, llama-server nothing at all.
    top = 0 if variant.software is Software.VLLM else 1
    body |= {"stream": stream, "logprobs": True, "top_logprobs": top}
    return body | ({"stream_options": {"include_usage": True}} if stream else {})


def completion_body(
    model: str,
    messages: Sequence[Message],
    options: ModelOptions,
    schema: Mapping[str, object],
    variant: Variant,
) -> dict[str, object]:
    """A request whose answer must fit a schema; what decides about sampling is always stated."""
    return {
        **_plain_body(model, messages, options, variant),
        **_schema_field(sent_schema(schema, variant), variant.form),
    }


def warm_up_body(template: RequestTemplate, variant: Variant) -> dict[str, object]:
    """A request that reads the constant part of the prompt and writes one token.

    llama-server goes on with a last message of the assistant, so there the constant messages are a beginning
    of every prompt. vLLM would begin another turn; its cache holds whole blocks, so that a page behind the
    constant messages does no harm, and it makes the grammar of the schema.
    """
    constant = template.prompt.constant_messages
    options = ModelOptions(template.options.context_tokens, answer_tokens=1, seed=template.options.seed)
    if variant.software is Software.LLAMA_CPP and constant[-1].role == "assistant":
        return _plain_body(template.model, constant, options, variant)
    schema = template.prompt.answer_schema
    return completion_body(template.model, template.prompt.messages(""), options, schema, variant)


def sent_schema(schema: Mapping[str, object], variant: Variant) -> Mapping[str, object]:
    """The schema, without the lengths of strings where they would cut off quotes at an escape."""
    if variant.keeps_escapes_in_bounded_strings:
        return schema
    return {key: _without_lengths(value) for key, value in schema.items()}


def _without_lengths(node: object) -> object:
    """Without lengths in all schemas of type string; names of properties are left alone."""
    if isinstance(node, Mapping):
        dropped = _LENGTHS if node.get("type") == "string" else frozenset()
        return {key: _without_lengths(value) for key, value in node.items() if key not in dropped}
    if isinstance(node, list):
        return [_without_lengths(value) for value in node]
    return node


def _plain_body(
    model: str, messages: Sequence[Message], options: ModelOptions, variant: Variant
) -> dict[str, object]:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "stream": False,
        LIMIT_FIELD: options.answer_tokens,
        "temperature": options.temperature,
        "top_p": 1.0,
        "seed": options.seed,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    if variant.software in _WITH_GENERATION_CONFIG:
        body |= {"top_k": -1, "repetition_penalty": 1.0}
    return body


def _schema_field(schema: Mapping[str, object], form: SchemaForm) -> dict[str, object]:
    match form:
        case SchemaForm.JSON_SCHEMA:
            named = {"name": _SCHEMA_NAME, "schema": schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case SchemaForm.STRUCTURED_OUTPUTS:
            return {"structured_outputs": {"json": schema}}
        case SchemaForm.GUIDED_JSON:
            return {"guided_json": schema}
        case SchemaForm.JSON_OBJECT:
            return {"response_format": {"type": "json_object", "schema": schema}}
