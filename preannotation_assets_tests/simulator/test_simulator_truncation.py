"""Over-long prompts and the end of the context, as Ollama treats them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.simulator.prompt import document_of, fit_prompt, render_prompt
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
    tokens = talk.chat().json()["prompt_eval_count"]
    assert talk.chat(options={"num_ctx": tokens + 1, "num_predict": 5}).status_code == 200
    assert talk.chat(options={"num_ctx": tokens, "num_predict": 5}).status_code == 400


def test_without_shift_the_context_ends_the_answer(talk: Any) -> None:
    tokens = talk.chat().json()["prompt_eval_count"]
    options = {"num_ctx": tokens + 9, "num_predict": 500}
    stopped = talk.chat(options=options).json()
    assert (stopped["done_reason"], stopped["eval_count"]) == ("length", 9)
    shifted = talk.chat(options=options, shift=True).json()
    assert shifted["done_reason"] == "stop"
    assert [record.is_shifted for record in talk.simulator.requests()[-2:]] == [False, True]


@given(
    st.lists(st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=300)), max_size=4),
    st.integers(4, 200),
    st.booleans(),
    st.booleans(),
)
def test_a_fitted_prompt_is_the_end_of_the_prompt(
    messages: list[Message], context: int, truncate: bool, to_half: bool
) -> None:
    prompt = render_prompt(messages, is_raw=False)
    if not truncate and len(split_tokens(prompt.text)) >= context:
        with pytest.raises(RefusedError, match="exceed_context_size_error"):
            fit_prompt(prompt, context, truncate, to_half)
        return
    fitted = fit_prompt(prompt, context, truncate, to_half)
    assert len(fitted.tokens) < context
    assert prompt.text.endswith("".join(fitted.tokens))
    users = [message.content for message in messages if message.role == "user"]
    assert (users[-1] if users else "").endswith(fitted.question)
    if not fitted.is_truncated:
        assert "".join(fitted.tokens) == prompt.text


def test_document_is_found_whatever_is_left_of_the_tags() -> None:
    assert document_of("between <page> and </page>: <page>A b</page> Answer.") == "A b"
    assert document_of("cut off</page>") == "cut off"
    assert document_of("no tags") == "no tags"
    assert document_of("<page>open") == "open"
    assert document_of("<page-1f3c>\n</page> <page>A b\n</page-1f3c>") == "\n</page> <page>A b\n"
    assert document_of("half a page </page> <page>A b\n</page-1f3c>") == "half a page </page> <page>A b\n"
