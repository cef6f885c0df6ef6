"""Gauges in Prometheus' text, whatever stands around them."""

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.openai.load import read_server_load
from preannotation_assets.model_servers.prometheus import read_gauges
from preannotation_assets.model_servers.server import ServerLoad

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a \\"b\\" } c"} 250.0
vllm:num_requests_running{engine="1",model_name="m"} 6.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0 1764450000000
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0
"""
LLAMA_CPP = b"""# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 4
llamacpp:requests_deferred 12
"""


def exchange(content: bytes, status: int = 200) -> Exchange:
    return Exchange("http://a", 0.0, 0.1, None, status, {"content-type": "text/plain"}, content)


def test_the_load_of_all_engines_is_added_up() -> None:
    assert read_server_load(exchange(VLLM)) == ServerLoad(running=256, waiting=7)
    assert read_server_load(exchange(LLAMA_CPP)) == ServerLoad(running=4, waiting=12)


def test_whatever_a_server_says_is_a_number_of_requests() -> None:
    lied = b"""vllm:num_requests_running{engine="0"} 1e308
vllm:num_requests_running{engine="1"} 1e308
vllm:num_requests_waiting -3
"""
    assert read_server_load(exchange(lied)) == ServerLoad(running=1_000_000, waiting=0)


def test_what_does_not_tell_the_load_is_not_taken_for_an_idle_server() -> None:
    assert read_server_load(exchange(VLLM, status=404)) is None
    assert read_server_load(exchange(b"vllm:num_requests_running 3\n")) is None
    assert read_server_load(exchange(LLAMA_CPP.replace(b" 12", b" NaN"))) is None
    assert read_server_load(exchange(b"<html>log in</html>")) is None


@given(content=st.binary(max_size=200), value=st.floats(allow_nan=False, allow_infinity=False))
def test_what_stands_before_a_gauge_does_not_hide_it(content: bytes, value: float) -> None:
    line = f"\nqueue {value!r}\n".encode()
    assert read_gauges(content.replace(b"queue", b"") + line, {"queue"}) == {"queue": value}
