"""The other routes, the journal, many at once, and the command."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator import Fault, FaultRule, HabitRates
from preannotation_assets.simulator.openai import BatchTimes, Flavour, GrammarBackend
from preannotation_assets.simulator.openai.command import KEY_VARIABLE, add_arguments, run, settings_of


def test_models_of_vllm_tell_root_and_window(vllm: Any) -> None:
    (model,) = vllm.client.get("/v1/models").json()["data"]
    assert (model["owned_by"], model["max_model_len"]) == ("vllm", 16_384)
    assert model["root"] == "stand-in/llama-3.3-70b"
    vllm.simulator.set_faults(FaultRule(Fault.DIGEST_CHANGE, requests=(1,)))
    before, after = vllm.chat().json(), vllm.client.get("/v1/models").json()["data"][0]
    assert after["root"] != model["root"]
    vllm.simulator.reset()
    assert vllm.client.get("/v1/models").json()["data"][0]["root"] == model["root"]
    assert vllm.chat().json()["system_fingerprint"] != before["system_fingerprint"]


def test_models_of_llama_tell_the_weights(llama: Any) -> None:
    reply = llama.client.get("/v1/models").json()
    (model,) = reply["data"]
    assert model["owned_by"] == "llamacpp"
    assert {"n_params", "size", "ftype", "n_ctx", "n_ctx_train", "n_vocab"} <= set(model["meta"])
    assert reply["models"][0]["name"] == model["id"]
    assert llama.client.get("/props").json()["total_slots"] == 2
    assert len(llama.client.get("/slots").json()) == 2


def test_what_only_one_of_them_has(vllm: Any, llama: Any) -> None:
    assert vllm.client.get("/version").json() == {"version": "0.32.0"}
    assert llama.client.get("/version").status_code == 404
    assert {vllm.client.get(path).status_code for path in ("/props", "/slots")} == {404}
    assert vllm.client.get("/health").content == b""
    assert llama.client.get("/health").json() == {"status": "ok"}


def test_tokens_are_counted_as_a_chat_counts_them(vllm: Any, llama: Any) -> None:
    messages = vllm.body()["messages"]
    counted = vllm.client.post("/tokenize", json={"model": "llama-3.3-70b", "messages": messages}).json()
    assert counted["count"] == len(counted["tokens"]) == vllm.chat().json()["usage"]["prompt_tokens"]
    assert vllm.client.post("/tokenize", json={"prompt": "a<|im_end|>b"}).json()["count"] == 3
    tokens = llama.client.post("/tokenize", json={"content": "a<|im_end|>b"}).json()["tokens"]
    assert len(tokens) > 3
    counted = llama.client.post("/v1/chat/completions/input_tokens", json={"messages": messages}).json()
    assert counted["input_tokens"] == llama.chat().json()["usage"]["prompt_tokens"]


def test_metrics_follow_the_requests(start: Any) -> None:
    talk = start()
    for _ in range(3):
        usage = talk.chat().json()["usage"]
    metrics = talk.metrics()
    assert metrics["prompt_tokens_total"] == 3 * usage["prompt_tokens"]
    assert metrics["prefix_cache_queries_total"] == 3 * usage["prompt_tokens"]
    assert metrics["prefix_cache_hits_total"] == 2 * ((usage["prompt_tokens"] - 1) // 16 * 16)
    assert metrics["generation_tokens_total"] == 3 * usage["completion_tokens"]
    assert metrics["request_success_total"] == 3
    assert metrics["time_to_first_token_seconds_count"] == 3
    assert metrics["num_requests_running"] == metrics["num_requests_waiting"] == 0
    assert "spec_decode_num_drafts_total" not in metrics
    assert start(has_metrics=False).client.get("/metrics").status_code == 404


def test_metrics_of_llama(llama: Any) -> None:
    usage = llama.chat().json()["usage"]
    metrics = llama.metrics()
    assert metrics["tokens_predicted_total"] == usage["completion_tokens"]
    assert metrics["requests_processing"] == metrics["requests_deferred"] == 0
    assert metrics["n_busy_slots_per_decode"] == pytest.approx(1, rel=0.1)


def test_five_hundred_at_once_are_all_answered_and_counted(start: Any) -> None:
    times = BatchTimes(base_seconds=0.01, sequence_seconds=0.0, prefill_rate=1e6)
    talk = start(speed=1.0, times=times, most_sequences=256, fixed_answer="{}" * 40)

    async def ask() -> list[int]:
        limits = httpx.Limits(max_connections=512)
        async with httpx.AsyncClient(base_url=talk.simulator.url, timeout=120, limits=limits) as client:
            body = talk.body(schema={"type": "object"})
            asked = [client.post("/v1/chat/completions", json=body) for _ in range(512)]
            return [response.status_code for response in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == [200] * 512
    summary = talk.simulator.summary()
    assert summary.requests == 512
    assert 0 < summary.peak_busy_slots <= 256
    assert summary.in_flight == 0


def test_the_journal_has_every_request_and_no_text(vllm: Any) -> None:
    vllm.chat()
    vllm.chat(model="other")
    first, second = vllm.client.get("/simulator/requests").json()["requests"]
    assert (first["endpoint"], first["status"], first["done_reason"]) == ("chat", 200, "stop")
    assert first["slot"] == 0
    assert (second["status"], second["slot"]) == (404, None)
    assert "EVER GOLDEN" not in vllm.client.get("/simulator/requests").text
    assert "stand-in for vLLM" in vllm.client.get("/simulator").text


def _parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_options_become_settings() -> None:
    arguments = ["--flavour", "llama", "--model", "a", "--model", "b", "--saturation", "8", "--no-habits"]
    chosen = settings_of(_parse(*arguments, "--backend", "guidance", "--fault", "busy=0.25"))
    assert (chosen.flavour, chosen.model.names, chosen.port) == (Flavour.LLAMA, ("a", "b"), 8_000)
    assert (chosen.times.saturation, chosen.habits) == (8, HabitRates.NONE)
    assert (chosen.backend, chosen.faults[0].fault) == (GrammarBackend.GUIDANCE, Fault.BUSY)
    assert settings_of(_parse()).backend is GrammarBackend.AUTO


@pytest.mark.parametrize("option", ["--fault=nonsense", "--window=0", "--speed=-1", "--disable-whitespace"])
def test_options_that_cannot_be(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError):
        settings_of(_parse(option))
    assert run(_parse(option)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match=KEY_VARIABLE):
        settings_of(_parse("--require-key"))
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    chosen = settings_of(_parse("--require-key"))
    assert chosen.api_key == "secret"
    assert "secret" not in repr(chosen)


def test_the_process_says_one_line_and_ends_cleanly() -> None:
    command = [sys.executable, "-m", "preannotation_assets.simulator.openai", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            prefix = "stand-in vLLM listening on "
            assert line.startswith(prefix + "http://127.0.0.1:")
            assert httpx.get(line.removeprefix(prefix).strip() + "/health").status_code == 200
            os.kill(process.pid, signal.SIGTERM)
            rest, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "", "")
