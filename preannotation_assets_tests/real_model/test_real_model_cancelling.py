"""A request that is given up does not hold its slot to the end of an answer that nobody reads."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from shared.polling import wait_for

from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from real_model.harbour_pages import PAGES, SCHEME
from real_model.real_servers import CONTEXT_TOKENS, MODEL, RealServer

# An answer that cannot end before: so many quotes of so many characters.
ANSWER_TOKENS = 1000
LONG_ANSWER = {
    "type": "object",
    "properties": {
        "spans": {
            "type": "array",
            "minItems": 100,
            "maxItems": 100,
            "items": {"type": "string", "minLength": 100, "maxLength": 200},
        }
    },
    "required": ["spans"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_cancelled_request_frees_its_slot(real_server: RealServer, is_streamed: bool) -> None:
    prompt = replace(build_prompt(load_label_scheme(str(SCHEME))), answer_schema=LONG_ANSWER)
    template = RequestTemplate(MODEL, "0" * 64, prompt, ModelOptions(CONTEXT_TOKENS, ANSWER_TOKENS))
    before = real_server.figures()
    assert real_server.busy() == 0

    async def give_up() -> None:
        server, environment = real_server.protocol(), real_server.environment()
        streamed = frozenset({real_server.url} if is_streamed else ())
        async with ChatClient(server, Timeouts(), environment, streamed) as client:
            request = asyncio.create_task(
                client.send(real_server.url, template, PAGES["arrival"], 0, total_seconds=600)
            )
            await asyncio.to_thread(
                wait_for, lambda: real_server.busy() == 1, "the request is in a slot", 120
            )
            request.cancel()
            with suppress(asyncio.CancelledError):
                await request

    asyncio.run(give_up())
    # llama.cpp's server looks after a client that takes no stream when it had nothing to tell anybody for a
    # second: whoever asks for its figures all the time keeps it from that.
    wait_for(lambda: real_server.busy() == 0, "the slot is free", 120)
    after = real_server.figures()
    assert after.ended == before.ended + 1
    assert after.answer_tokens - before.answer_tokens < ANSWER_TOKENS
