"""A request that is put together from encoded parts is the request that the server's kind describes."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.prompt import Message, Prompt
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import SchemaForm, Software, Variant
from preannotation_assets.model_servers.request_frames import RequestFrames
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

SCHEMA: dict[str, object] = {"type": "object", "properties": {"spans": {"type": "array", "minItems": 0}}}
PROMPT = Prompt(
    "v", "f" * 64, (Message("system", "S"), Message("user", "<page>\nU\n</page>")), SCHEMA, 30, frozenset()
)
TEMPLATE = RequestTemplate("m", "d" * 64, PROMPT, ModelOptions(context_tokens=4096, answer_tokens=400))
SERVERS: list[ModelServer] = [
    OllamaServer(),
    *(OpenAIServer(variant=Variant(software, form)) for software in Software for form in SchemaForm),
]


@given(
    st.lists(st.text(), min_size=1, max_size=3),
    st.sampled_from(SERVERS),
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from([TEMPLATE, TEMPLATE.for_second_pass()]),
)
def test_the_bytes_say_what_the_request_says(
    texts: list[str], server: ModelServer, stream: bool, variation: int, template: RequestTemplate
) -> None:
    frames = RequestFrames(server)
    for text in texts:
        _, body = frames.encode(template, text, stream=stream, variation=variation)
        request = server.chat_request(template, text, stream=stream, variation=variation)
        assert body is not None
        assert json.loads(body) == request.body
        assert body == json.dumps(request.body).encode()


def test_two_templates_and_two_variations_are_four_requests() -> None:
    frames = RequestFrames(OllamaServer())
    other = replace(TEMPLATE, prompt=replace(PROMPT, fingerprint="e" * 64))

    bodies = {
        frames.encode(template, "P", stream=stream, variation=variation)[1]
        for template in (TEMPLATE, replace(other, model="n"))
        for stream in (True, False)
        for variation in (0, 1)
    }

    assert len(bodies) == 8


@pytest.mark.parametrize("text", ["\ue000page\uf8ff", "<page>\n\ue000page\uf8ff\n</page>"])
def test_a_page_or_a_scheme_that_has_the_place_in_it_is_asked_about_as_any_other(text: str) -> None:
    server = OllamaServer()
    constant = (Message("system", f"<page>\n{text}\n</page>"),)
    template = replace(TEMPLATE, prompt=replace(PROMPT, constant_messages=constant, fingerprint="c" * 64))
    for asked in (TEMPLATE, template):
        _, body = RequestFrames(server).encode(asked, text, stream=False, variation=0)
        assert json.loads(body or b"") == server.chat_request(asked, text, stream=False).body
