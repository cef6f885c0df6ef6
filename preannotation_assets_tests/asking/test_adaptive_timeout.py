"""Time-outs sized from the model's own speed."""

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.asking.adaptive_timeout import AdaptiveTimeout
from preannotation_assets.model_servers.ollama.wire import parse_reply
from preannotation_assets.model_servers.reply import ChatReply


def _reply(rate: float, queue: float = 0.0) -> ChatReply:
    reply = parse_reply(
        {
            "message": {"content": "{}"},
            "done": True,
            "prompt_eval_count": 1000,
            "eval_count": 100,
            "prompt_eval_duration": 1_000_000_000,
            "eval_duration": int(100 / rate * 1e9),
            "total_duration": int((1 + 100 / rate + queue) * 1e9),
        }
    )
    assert reply is not None
    return reply


def test_a_request_may_take_four_times_what_the_slowest_answer_makes_of_it() -> None:
    pace = AdaptiveTimeout(shortest=10.0, longest=1000.0)
    for rate in (20.0, 10.0, 20.0, 20.0, 20.0):
        assert pace.total_seconds(2000, 500) == 1000.0
        pace.observe(_reply(rate, queue=3.0 if rate == 10.0 else 0.0))
    assert abs(pace.total_seconds(2000, 500) - (4 * (2.0 + 50.0) + 3.0)) < 0.01


@given(rates=st.lists(st.floats(0.1, 1e4), min_size=5), prompt=st.integers(1, 10**6))
def test_it_stays_between_its_bounds(rates: list[float], prompt: int) -> None:
    pace = AdaptiveTimeout(shortest=300.0, longest=1800.0)
    for rate in rates:
        pace.observe(_reply(rate))
    assert 300.0 <= pace.total_seconds(prompt, 3072) <= 1800.0


def test_replies_without_durations_teach_nothing() -> None:
    pace = AdaptiveTimeout(shortest=1.0, longest=100.0)
    bare = parse_reply({"message": {"content": "{}"}, "done": True})
    assert bare is not None
    for _ in range(10):
        pace.observe(bare)
    assert pace.total_seconds(10, 10) == 100.0
