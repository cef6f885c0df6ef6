"""Where OpenAI-compatible servers tell how many requests they work on. Pure.

Names as vLLM 0.32, llama.cpp's server with ``--metrics`` and SGLang with ``--enable-metrics`` write them.
"""

from typing import Final

from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.prometheus import read_gauges
from preannotation_assets.model_servers.server import ServerLoad

__all__ = ["LOAD_PATH", "read_server_load"]

LOAD_PATH: Final = "/metrics"

_OK: Final = 200
_RUNNING_AND_WAITING: Final = (
    ("vllm:num_requests_running", "vllm:num_requests_waiting"),
    ("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    ("sglang:num_running_reqs", "sglang:num_queue_reqs"),
)
_MOST: Final = 1_000_000.0
_NAMES: Final = frozenset(name for pair in _RUNNING_AND_WAITING for name in pair)


def read_server_load(exchange: Exchange) -> ServerLoad | None:
    """The load in the metrics; None where they are none, or of a server that is not known."""
    gauges = read_gauges(exchange.content, _NAMES) if exchange.status == _OK else {}
    for running, waiting in _RUNNING_AND_WAITING:
        if running in gauges and waiting in gauges:
            return ServerLoad(_count(gauges[running]), _count(gauges[waiting]))
    return None


def _count(gauge: float) -> int:
    """Requests, whatever a server says: below 0 and above a million are no numbers of them."""
    return round(max(0.0, min(gauge, _MOST)))
