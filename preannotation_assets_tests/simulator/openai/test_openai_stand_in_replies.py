"""Answers in one piece and as streams: finish reasons, usage, log-probabilities, what they cost."""

import json
from typing import Any

import pytest

from preannotation_assets.simulator.openai import BatchTimes

LETTERS = "Owner: Ạrsted Line Ltd. From Hamburg"


def test_a_reply_of_vllm(vllm: Any) -> None:
    reply = vllm.chat().json()
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "llama-3.3-70b"
    assert reply["system_fingerprint"].startswith("vllm-0.32.0-")
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] is None
    assert reply["metrics"] is None
    message = reply["choices"][0]["message"]
    assert (message["role"], message["reasoning"]) == ("assistant", None)
    assert "reasoning_content" not in message
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert "timings" not in reply


def test_a_reply_of_llama(llama: Any) -> None:
    llama.chat()
    reply = llama.chat().json()
    assert reply["system_fingerprint"].startswith("b10434-")
    usage, timings = reply["usage"], reply["timings"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": usage["prompt_tokens"] - 1}
    assert (timings["cache_n"], timings["prompt_n"]) == (usage["prompt_tokens"] - 1, 1)
    assert timings["predicted_n"] == usage["completion_tokens"]
    assert "draft_n" not in timings
    assert not {"reasoning", "reasoning_content"} & set(reply["choices"][0]["message"])


def test_vllm_tells_cached_tokens_and_times_where_it_is_started_so(start: Any) -> None:
    times = BatchTimes(base_seconds=0.5, sequence_seconds=0.0, prefill_rate=1e9)
    talk = start(tells_cached_tokens=True, tells_request_metrics=True, times=times)
    first, second = talk.chat().json(), talk.chat().json()
    assert first["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached == (second["usage"]["prompt_tokens"] - 1) // 16 * 16
    metrics = second["metrics"]
    assert metrics["mean_itl_ms"] == pytest.approx(500)
    assert metrics["time_to_first_token_ms"] == pytest.approx(500, abs=1)
    assert metrics["generation_time_ms"] == pytest.approx(500 * (second["usage"]["completion_tokens"] - 1))


@pytest.mark.parametrize("flavour", ["vllm", "llama"])
def test_a_stream_joins_to_the_whole_answer(start: Any, flavour: str) -> None:
    talk = start(flavour=flavour)
    events = talk.events(stream_options={"include_usage": True}, logprobs=True, top_logprobs=1)
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    usage = chunks.pop()
    choices = [chunk["choices"][0] for chunk in chunks]
    assert usage["choices"] == []
    whole = talk.chat(logprobs=True, top_logprobs=1).json()
    assert usage["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert choices[0]["delta"] == {"role": "assistant", "content": "" if flavour == "vllm" else None}
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert text == whole["choices"][0]["message"]["content"]
    entries = [
        entry for choice in choices for entry in (choice.get("logprobs") or {"content": []})["content"]
    ]
    assert entries == whole["choices"][0]["logprobs"]["content"]


def test_where_the_finish_reason_stands(vllm: Any, llama: Any) -> None:
    for talk, is_empty in ((vllm, False), (llama, True)):
        last = json.loads(talk.events()[-2])
        assert last["choices"][0]["finish_reason"] == "stop"
        assert (last["choices"][0]["delta"] == {}) == is_empty
        assert "usage" not in last
        assert ("timings" in last) == is_empty


def test_vllm_lists_every_token_and_the_end(vllm: Any) -> None:
    reply = vllm.chat(LETTERS, logprobs=True, top_logprobs=0).json()
    choice = reply["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"] + "<|im_end|>"
    assert len(entries) == reply["usage"]["completion_tokens"]
    split = [number for number, entry in enumerate(entries) if entry["token"] == ""]
    assert [entries[number]["bytes"] for number in split] == [[]]
    assert "Ạ" in entries[split[0] + 1]["token"]
    assert entries[split[0]]["logprob"] == entries[split[0] + 1]["logprob"]
    assert all(entry["top_logprobs"] == [] for entry in entries)


def test_llama_joins_split_letters_and_ends_with_nothing(llama: Any) -> None:
    reply = llama.chat(LETTERS, logprobs=True, top_logprobs=2).json()
    choice = reply["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert entries[-1]["token"] == ""
    assert len(entries) == reply["usage"]["completion_tokens"] - 1
    assert all(isinstance(entry["id"], int) and len(entry["top_logprobs"]) == 2 for entry in entries)
    assert "logprobs" not in llama.choice(logprobs=True, top_logprobs=0)
    assert len(llama.choice(logprobs=True, top_logprobs=21)["logprobs"]["content"][0]["top_logprobs"]) == 21


def test_forced_tokens_are_certain_after_the_mask_and_improbable_before_it(start: Any) -> None:
    def first(**settings: Any) -> tuple[float, Any]:
        entry = start(**settings).choice(logprobs=True, top_logprobs=2)["logprobs"]["content"][0]
        return entry["logprob"], entry["top_logprobs"][1]["logprob"]

    assert first(backend="guidance") == (0.0, -9999.0)
    score, other = first(backend="xgrammar")
    assert -0.1 < score < 0
    assert other == -9999.0
    assert first(flavour="llama")[0] < -2


def test_drafts_score_zero_in_llama_only(start: Any) -> None:
    scores = {}
    for flavour in ("vllm", "llama"):
        talk = start(flavour=flavour, speculates=True)
        reply = talk.chat(logprobs=True, top_logprobs=1).json()
        content = reply["choices"][0]["logprobs"]["content"]
        scores[flavour] = [entry["logprob"] for entry in content if entry["token"] == "N"]
        if flavour == "llama":
            timings = reply["timings"]
            drafts = [entry for entry in content if entry["logprob"] == 0.0 and "top_logprobs" not in entry]
            assert len(drafts) == timings["draft_n_accepted"] > 0
            assert timings["draft_n"] >= timings["draft_n_accepted"]
        else:
            metrics = talk.metrics()
            assert metrics["spec_decode_num_accepted_tokens_total"] > 0
    assert scores["llama"] == [0.0]
    assert scores["vllm"][0] < 0


def test_drafts_take_fewer_steps_for_the_same_answer(start: Any) -> None:
    plain, drafted = start(flavour="llama"), start(flavour="llama", speculates=True)
    ours, theirs = plain.chat().json(), drafted.chat().json()
    assert ours["choices"][0]["message"] == theirs["choices"][0]["message"]
    assert theirs["timings"]["predicted_ms"] < ours["timings"]["predicted_ms"]
    assert (
        "".join(
            json.loads(event)["choices"][0]["delta"].get("content") or "" for event in drafted.events()[:-1]
        )
        == (theirs["choices"][0]["message"]["content"])
    )


def test_a_limit_within_a_letter(vllm: Any, llama: Any) -> None:
    content = vllm.choice(LETTERS, logprobs=True)["logprobs"]["content"]
    limit = 1 + next(number for number, entry in enumerate(content) if entry["token"] == "")
    before = "".join(entry["token"] for entry in content[: limit - 1])
    cut = vllm.choice(LETTERS, logprobs=True, max_tokens=limit)
    assert (cut["message"]["content"], cut["finish_reason"]) == (before, "length")
    cut = llama.choice(LETTERS, logprobs=True, top_logprobs=1, max_tokens=limit)
    assert cut["message"]["content"] == before + "\ufffd"
    assert "logprobs" not in cut


def test_token_ids_where_vllm_is_asked_for_them(vllm: Any) -> None:
    reply = vllm.chat(return_token_ids=True).json()
    again = vllm.chat(return_token_ids=True).json()
    assert len(reply["prompt_token_ids"]) == reply["usage"]["prompt_tokens"]
    assert reply["choices"][0]["token_ids"] == again["choices"][0]["token_ids"]


def test_temperature_and_seed(start: Any) -> None:
    from preannotation_assets.simulator import HabitRates

    talk = start(habits=HabitRates(omit=0.5))

    def answers(**changes: Any) -> list[str]:
        return [talk.choice(**changes)["message"]["content"] for _ in range(6)]

    assert len(set(answers())) == 1
    assert len(set(answers(temperature=1, seed=3))) == 1
    assert len(set(answers(temperature=1))) > 1


def test_llama_goes_on_with_the_assistants_last_turn(vllm: Any, llama: Any) -> None:
    turns = [*vllm.body()["messages"], {"role": "assistant", "content": '{"spans": [{"'}]
    assert vllm.choice(messages=turns)["message"]["content"].startswith('{"spans"')
    assert llama.choice(messages=turns)["message"]["content"].startswith("vessel_name")


def test_control_tokens_in_a_page_end_the_turn(vllm: Any) -> None:
    def ports(page: str) -> list[str]:
        spans = json.loads(vllm.choice(page)["message"]["content"])["spans"]
        return [span["port"] for span in spans if "port" in span]

    assert ports("From Hamburg <|im_end|> owner of Bremen") == ["Hamburg"]
    assert ports("From Hamburg <| im_end|> owner, Bremen") == ["Hamburg", "Bremen"]


def test_a_fixed_answer_is_given_whatever_is_asked(start: Any) -> None:
    assert start(fixed_answer='{"spans":[]}').choice()["message"]["content"] == '{"spans":[]}'
