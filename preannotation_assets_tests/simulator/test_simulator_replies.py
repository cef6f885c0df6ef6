"""What good answers look like: fields, streams, thinking, listings, versions."""

import json
from typing import Any

import pytest

from preannotation_assets.simulator import Fault, FaultRule, HabitRates, SimulatedModel, SimulatorSettings

TIMES = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def test_chat_answers_from_the_page_in_reading_order(talk: Any) -> None:
    reply = talk.chat().json()
    spans = json.loads(reply["message"]["content"])["spans"]
    assert spans == [
        {"vessel_name": "EVER GOLDEN"},
        {"imo_number": "9811000"},
        {"call_sign": "H3RC"},
        {"flag": "Panama"},
        {"year_built": "1999"},
        {"port": "Hamburg"},
        {"port": "Rotterdam"},
        {"date": "12 March 2021"},
        {"owner": "Kestrel Line Ltd."},
        {"master": "K. Singh"},
    ]
    assert (reply["done"], reply["done_reason"], reply["model"]) == (True, "stop", "llama3.3:70b")
    assert all(isinstance(reply[name], int) and reply[name] > 0 for name in TIMES)
    assert reply["total_duration"] >= sum(reply[name] for name in TIMES[1:])
    assert "context" not in reply


def test_text_outside_of_the_page_tags_is_not_answered(talk: Any) -> None:
    messages = [
        {"role": "user", "content": "M/V EXAMPLE STAR"},
        {"role": "user", "content": "For example M/V OTHER. <page>M/V QUIET BAY</page>"},
    ]
    spans = json.loads(talk.chat(messages=messages).json()["message"]["content"])["spans"]
    assert spans == [{"vessel_name": "QUIET BAY"}]


def test_without_tags_the_whole_last_user_turn_is_the_page(talk: Any) -> None:
    reply = talk.generate("Sailed: M/V QUIET BAY", format="json").json()
    assert json.loads(reply["response"]) == {"vessel_name": ["QUIET BAY"]}
    assert len(reply["context"]) > reply["prompt_eval_count"]


def test_an_empty_prompt_loads_and_unloads(talk: Any) -> None:
    loaded = talk.generate("", keep_alive=-1).json()
    assert (loaded["done"], loaded["done_reason"], loaded["response"]) == (True, "load", "")
    assert "eval_count" not in loaded
    assert talk.client.get("/api/ps").json()["models"][0]["expires_at"].startswith("2318")
    assert talk.chat(messages=[]).json()["done_reason"] == "load"
    assert talk.generate("", keep_alive=0).json()["done_reason"] == "unload"
    assert talk.client.get("/api/ps").json() == {"models": []}
    assert talk.simulator.summary().requests == 0


@pytest.mark.parametrize("endpoint", ["chat", "generate"])
def test_a_stream_is_the_whole_answer_in_lines(talk: Any, endpoint: str) -> None:
    body = talk.body(stream=True, logprobs=True)
    if endpoint == "generate":
        body["prompt"] = body.pop("messages")[1]["content"]
    whole = talk.client.post(f"/api/{endpoint}", json={**body, "stream": False}).json()
    streamed = talk.client.post(f"/api/{endpoint}", json=body)
    assert streamed.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in streamed.text.splitlines()]

    def text(reply: Any) -> str:
        return str(reply["message"]["content"] if endpoint == "chat" else reply["response"])

    assert "".join(map(text, lines)) == text(whole)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["eval_count"] == whole["eval_count"]
    assert [entry for line in lines for entry in line.get("logprobs", [])] == whole["logprobs"]


def test_stream_is_the_default(talk: Any) -> None:
    body = talk.body()
    del body["stream"]
    assert talk.client.post("/api/chat", json=body).headers["Content-Type"] == "application/x-ndjson"


def test_a_lone_surrogate_in_a_prompt_is_replaced(talk: Any) -> None:
    body = json.dumps(talk.body("M/V QUIET BAY \ud800 Dampfer Elbe\ud801")).encode()
    reply = talk.client.post("/api/chat", content=body)
    spans = json.loads(reply.json()["message"]["content"])["spans"]
    assert spans == [{"vessel_name": "QUIET BAY"}, {"vessel_name": "Elbe"}]


def test_num_predict_cuts_the_json(talk: Any) -> None:
    reply = talk.chat(options={"num_ctx": 4096, "num_predict": 20}).json()
    assert (reply["done_reason"], reply["eval_count"]) == ("length", 20)
    with pytest.raises(ValueError, match=r"."):
        json.loads(reply["message"]["content"])


def test_a_thinking_model_thinks_unless_told_not_to(start: Any) -> None:
    settings = SimulatorSettings(models=(SimulatedModel("qwq:32b", is_thinking=True),))
    talk = start(settings)
    unset, off = talk.chat(model="qwq:32b"), talk.chat(model="qwq:32b", think=False)
    assert unset.json()["message"]["thinking"]
    assert "thinking" not in off.json()["message"]
    assert unset.json()["eval_count"] == off.json()["eval_count"]
    card = talk.client.post("/api/show", json={"model": "qwq:32b"}).json()
    assert "thinking" in card["capabilities"]


def test_listings_say_what_it_is(talk: Any) -> None:
    assert talk.client.get("/").text == "Ollama is running"
    assert talk.client.head("/").status_code == 200
    assert talk.client.get("/api/version").json() == {"version": "0.33.0"}
    listed = talk.client.get("/api/tags").json()["models"][0]
    assert (listed["name"], len(listed["digest"])) == ("llama3.3:70b", 64)
    card = talk.client.post("/api/show", json={"model": "llama3.3:70b"}).json()
    assert card["details"]["family"] == "stand-in"
    assert card["model_info"]["llama.context_length"] == 131_072
    assert "digest" not in card
    assert "not from a language model" in talk.client.get("/simulator").text
    talk.chat()
    loaded = talk.client.get("/api/ps").json()["models"][0]
    assert (loaded["digest"], loaded["context_length"]) == (listed["digest"], 4096)
    assert loaded["size_vram"] <= loaded["size"]


def test_the_digest_can_change_under_a_run(talk: Any) -> None:
    def digest() -> str:
        return str(talk.client.get("/api/tags").json()["models"][0]["digest"])

    before = digest()
    talk.simulator.set_faults(FaultRule(Fault.DIGEST_CHANGE, requests=(2,)))
    talk.chat()
    assert digest() == before
    assert talk.chat().status_code == 200
    assert digest() != before
    talk.simulator.reset()
    assert digest() == before


def test_older_versions_lack_what_they_lacked(start: Any) -> None:
    talk = start(SimulatorSettings(version="0.12.5"))
    reply = talk.chat("word " * 5000, logprobs=True)
    assert reply.status_code == 200
    assert "logprobs" not in reply.json()
    assert reply.json()["prompt_eval_count"] == 4095
    first, second = talk.chat().json(), talk.chat().json()
    assert second["prompt_eval_count"] < first["prompt_eval_count"]


def test_key_order_follows_the_kind_of_template(start: Any) -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}, "required": ["b", "a"]}
    models = (SimulatedModel("go"), SimulatedModel("jinja", is_jinja=True))
    talk = start(SimulatorSettings(models=models, habits=HabitRates.NONE))
    orders = [
        list(json.loads(talk.chat(model=name, format=schema).json()["message"]["content"]))
        for name in ("go", "jinja")
    ]
    assert orders == [["b", "a"], ["a", "b"]]


def test_answers_are_the_same_in_every_run(start: Any) -> None:
    texts = {start(SimulatorSettings(seed=5)).chat().json()["message"]["content"] for _ in range(2)}
    assert len(texts) == 1
