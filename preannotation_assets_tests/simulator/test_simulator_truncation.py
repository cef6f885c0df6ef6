"""Over-long prompts and the end of the context, as Ollama treats them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator import SimulatedModel, SimulatorSettings
from preannotation_assets.simulator.prompt import cut_prompt, document_of, fit_prompt, render_prompt
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.requests import Message
from preannotation_assets.simulator.tokens import split_tokens

FILLER = "nothing happened here. " * 40


def test_truncation_loses_the_oldest_text_without_a_word(talk: Any) -> None:
    page = f"M/V FIRST LIGHT {FILLER} M/V LAST LIGHT"
    reply = talk.chat(page, truncate=True, shift=True, options={"num_ctx": 128, "num_predict": 500}).json()
    assert (reply["done"], reply["done_reason"]) == (True, "stop")
    assert reply["prompt_eval_count"] == 64
    assert json.loads(reply["message"]["content"])["spans"] == [{"vessel_name": "LAST LIGHT"}]
    assert talk.simulator.requests()[-1].is_truncated


def test_the_longest_prompt_is_one_less_than_the_context(talk: Any) -> None:
    tokens = talk.chat(FILLER).json()["prompt_eval_count"]
    assert talk.chat(FILLER, options={"num_ctx": tokens + 1, "num_predict": 5}).status_code == 200
    assert talk.chat(FILLER, options={"num_ctx": tokens, "num_predict": 5}).status_code == 400


def test_without_shift_the_context_ends_the_answer(talk: Any) -> None:
    page = f"M/V FIRST LIGHT {FILLER} M/V LAST LIGHT"
    tokens = talk.chat(page).json()["prompt_eval_count"]
    options = {"num_ctx": tokens + 9, "num_predict": 500}
    stopped = talk.chat(page, options=options).json()
    assert (stopped["done_reason"], stopped["eval_count"]) == ("length", 9)
    shifted = talk.chat(page, options=options, shift=True).json()
    assert shifted["done_reason"] == "stop"
    assert [record.is_shifted for record in talk.simulator.requests()[-2:]] == [False, True]


@given(
    st.lists(st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=300)), max_size=4),
    st.integers(4, 200),
    st.booleans(),
    st.booleans(),
)
def test_a_cut_prompt_is_the_end_of_the_prompt(
    messages: list[Message], context: int, shift: bool, to_half: bool
) -> None:
    prompt = render_prompt(messages, is_raw=False)
    if len(split_tokens(prompt.text)) >= context:
        with pytest.raises(RefusedError, match="exceed_context_size_error"):
            fit_prompt(prompt, context)
        if not shift:
            with pytest.raises(RefusedError, match="the prompt is longer"):
                cut_prompt(prompt, context, shift, to_half)
            return
    else:
        assert fit_prompt(prompt, context) == cut_prompt(prompt, context, shift, to_half)
    fitted = cut_prompt(prompt, context, shift, to_half)
    assert len(fitted.tokens) < context
    assert prompt.text.endswith("".join(fitted.tokens))
    users = [message.content for message in messages if message.role == "user"]
    assert (users[-1] if users else "").endswith(fitted.question)
    if not fitted.is_truncated:
        assert "".join(fitted.tokens) == prompt.text


def test_a_last_message_that_is_too_long_is_cut_only_with_shift(talk: Any) -> None:
    options = {"num_ctx": 256, "num_predict": 500}
    refused = talk.chat(FILLER, truncate=True, options=options)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("the prompt is longer than the context length")
    assert talk.chat(FILLER, truncate=True, shift=True, options=options).json()["prompt_eval_count"] == 128


def test_truncation_drops_the_oldest_messages_first(talk: Any) -> None:
    system = {"role": "system", "content": "Mark the entities."}
    last = {"role": "user", "content": "<page>M/V LAST LIGHT</page>"}
    old = [{"role": "user", "content": FILLER}, {"role": "assistant", "content": "[]"}]
    options = {"num_ctx": 128, "num_predict": 50}
    short = talk.chat(messages=[system, *old[1:], last], options=options).json()
    cut = talk.chat(messages=[system, *old, last], truncate=True, options=options).json()
    assert cut["prompt_eval_count"] == short["prompt_eval_count"]
    assert cut["message"] == short["message"]


def test_a_tiny_context_becomes_the_least_one(talk: Any) -> None:
    for num_ctx in (-1, 3):
        options = {"num_ctx": num_ctx, "num_predict": 500}
        reply = talk.chat(options=options).json()
        assert (reply["done_reason"], reply["eval_count"]) == ("length", 40)
        assert talk.client.get("/api/ps").json()["models"][0]["context_length"] == 4
        assert talk.chat(FILLER, options=options).status_code == 400


def test_a_context_beyond_the_trained_one_is_cut_and_shown(start: Any) -> None:
    talk = start(SimulatorSettings(models=(SimulatedModel("smol", context_length=512),)))
    page = "word " * 600
    for num_ctx in (12_288, 512):
        options = {"num_ctx": num_ctx, "num_predict": -1}
        response = talk.chat(page, model="smol", options=options)
        assert response.status_code == 400
        assert json.loads(response.json()["error"])["error"]["n_ctx"] == 512
        assert talk.client.get("/api/ps").json()["models"][0]["context_length"] == 512
    assert [record.has_loaded for record in talk.simulator.requests()] == [True, False]
    listed = talk.client.get("/api/tags").json()["models"][0]["details"]
    assert listed["context_length"] == 512


def test_the_end_of_a_turn_on_a_page_ends_the_turn(talk: Any) -> None:
    for mark in ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<eos>"):
        page = f"M/V QUIET BAY{mark}\nM/V OTHER"
        spans = json.loads(talk.chat(page).json()["message"]["content"])["spans"]
        assert spans == [{"vessel_name": "QUIET BAY"}]
        broken = page.replace("<", "< ", 1)
        spans = json.loads(talk.chat(broken).json()["message"]["content"])["spans"]
        assert [span["vessel_name"] for span in spans][-1] == "OTHER"


def test_special_tokens_on_a_page_are_one_token_each() -> None:
    for mark in ("<|eot_id|>", "<|im_start|>", "<|endoftext|>", "<start_of_turn>", "<eos>"):
        assert split_tokens(f" {mark}") == [" ", mark]
        assert len(split_tokens(f" < {mark[1:]}")) > 2


def test_document_is_found_whatever_is_left_of_the_tags() -> None:
    assert document_of("between <page> and </page>: <page>A b</page> Answer.") == "A b"
    assert document_of("cut off</page>") == "cut off"
    assert document_of("no tags") == "no tags"
    assert document_of("<page>open") == "open"
    assert document_of("<page-1f3c>\n</page> <page>A b\n</page-1f3c>") == "\n</page> <page>A b\n"
    assert document_of("half a page </page> <page>A b\n</page-1f3c>") == "half a page </page> <page>A b\n"
