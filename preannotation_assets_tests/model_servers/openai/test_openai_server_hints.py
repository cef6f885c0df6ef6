"""What is told of a vLLM that could do better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.openai.canary import CanaryReply
from preannotation_assets.model_servers.openai.hints import canary_hints, metrics_hints, slots_hints
from preannotation_assets.model_servers.openai.variant import Variant

RUNNING = 'vllm:num_requests_running{engine="0",model_name="m"} 0.0\n'
DRAFTS = 'vllm:spec_decode_num_drafts_total{engine="0"} 0.0\n'
CACHE = 'vllm:cache_config_info{block_size="16",enable_prefix_caching="%s",engine="0"} 1.0\n'


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (RUNNING + DRAFTS + CACHE % "True", []),
        (RUNNING + CACHE % "True", ["speculative"]),
        (RUNNING + DRAFTS + CACHE % "False", ["--enable-prefix-caching"]),
        (RUNNING, ["speculative"]),
        ("", []),
        ("llamacpp:requests_processing 0\n", []),
        ("<html>vllm:</html>", []),
    ],
)
def test_metrics_show_what_is_off(metrics: str, told: list[str]) -> None:
    hints = metrics_hints(metrics.encode())
    assert len(hints) == len(told)
    assert all(word in hint for word, hint in zip(told, hints, strict=True))


@pytest.mark.parametrize(
    ("is_compact", "tells", "told"),
    [(True, True, []), (False, True, ["disable_any_whitespace"]), (True, False, ["prompt-tokens-details"])],
)
def test_one_reply_shows_what_is_off(is_compact: bool, tells: bool, told: list[str]) -> None:
    hints = canary_hints(CanaryReply(Variant(), is_compact, tells, ""))
    assert len(hints) == len(told)
    assert all(word in hint for word, hint in zip(told, hints, strict=True))


@given(st.binary())
def test_no_page_is_too_strange(metrics: bytes) -> None:
    assert metrics_hints(metrics) == []


def test_slots_bound_what_is_worth_sending_at_once() -> None:
    assert "works on 2 requests at once" in slots_hints({"total_slots": 2})[0]
    assert slots_hints({}) == slots_hints({"total_slots": None}) == slots_hints({"total_slots": 0}) == []
