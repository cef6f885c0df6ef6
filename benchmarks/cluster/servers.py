"""Two stand-ins, one four times as fast as the other, and what they were asked."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from shared.network_namespaces import Machine

from benchmarks.cluster.runs import SOURCE
from benchmarks.inference.servers import started

__all__ = ["CAP", "PageRequest", "environment_of", "page_requests", "print_servers", "two_servers"]

CAP: Final = 16
"""Requests that each may have at once; so many it works on."""

_TIMES_AS_FAST: Final = 4


@dataclass(frozen=True)
class PageRequest:
    """``page`` is the hash of what was asked; times are seconds since the Unix epoch."""

    page: str
    arrived: float
    ended: float


@contextmanager
def two_servers(fast: Machine, slow: Machine, rate: float) -> Iterator[list[str]]:
    """Their addresses for the time of the block; a slot of the fast one writes ``rate`` tokens a second.

    The answers have 26 to 30 tokens.
    """
    with ExitStack() as stack:
        urls = []
        for machine, own_rate in ((fast, rate), (slow, rate / _TIMES_AS_FAST)):
            command = [*machine.before, sys.executable, "-m", "preannotation_assets.simulator"]
            options = ["--host", machine.host, "--port", "0", "--load-seconds", "0", "--slots", str(CAP)]
            pace = ["--speed", "1", "--decode-rate", str(own_rate), "--prefill-rate", "1000000"]
            urls.append(stack.enter_context(started([*command, *options, *pace])))
        yield urls


def environment_of(urls: Sequence[str]) -> dict[str, str]:
    """What the workers of a cluster find in theirs."""
    return {"PYTHONPATH": str(SOURCE), "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(urls)}


def page_requests(url: str) -> list[PageRequest]:
    """What a server was asked about pages, in the order of arrival."""
    records = httpx.get(f"{url}/simulator/requests", timeout=600).json()["requests"]
    return [
        PageRequest(record["prompt_sha256"], record["arrived_at"], record["ended_at"])
        for record in records
        if not _is_without_page(record)
    ]


def print_servers(urls: Sequence[str]) -> None:
    """What they saw; a page may be asked again at the other one."""
    asked: list[str] = []
    for url in urls:
        summary = httpx.get(f"{url}/simulator/summary", timeout=60).json()
        pages = [request.page for request in page_requests(url)]
        print(
            f"  {len(pages):,} requests about pages, {summary['peak_in_flight']} in flight at most, "
            f"{summary['disconnected']} left by their client, slots busy {summary['occupancy'] or 0:.2f}"
        )
        asked += pages
    print(f"  {len(asked) - len(set(asked)):,} of {len(asked):,} asked again")


def _is_without_page(record: Mapping[str, Any]) -> bool:
    """A load, or the warm-up of a slot, which is cut off behind one token."""
    is_warm_up = record["done_reason"] == "length" and record["output_tokens"] == 1
    return bool(record["is_load_only"]) or is_warm_up
