"""What the permit server holds: ``python -m benchmarks.cost.permits [--permits N ...]``.

So many permits are given and given back over TCP, 64 at once, each with the report of a request that nobody
made; every twentieth says that the server refused it. The reports go to the table of requests, as in a run.
All share a connection, as those of a task do; its other end is in the same process. As in ``driver.py``, the
most resident memory over what was there before.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

from benchmarks.cost.steps import Steps, measure_sizes
from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.telemetry.prefix_watch import PrefixWatch
from preannotation_assets.telemetry.request_log import RequestLog
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import PermitAddress, PermitReport
from preannotation_assets.throttling.permit_server import PermitServer

_PERMITS: Final = (100_000, 1_000_000)
_IN_FLIGHT: Final = 64
_ENDPOINT: Final = "http://127.0.0.1:1"
_REFUSED: Final = 20
_CONSTANT_TOKENS: Final = 2_400
# Permits before the first look: the first connections, the first rows and what they import.
_BEFORE: Final = 5_000


def main() -> None:
    """Prints a line a size."""
    measure_sizes("benchmarks.cost.permits", "permits", _PERMITS, _measure)


def _measure(permits: int) -> None:
    with tempfile.TemporaryDirectory(prefix="preannotation-permits-") as folder:
        store, prefix = open_store(StoreLocation(folder)), PrefixWatch(_CONSTANT_TOKENS)
        with (
            RequestLog(store, "requests", "run", interval_seconds=1.0) as log,
            PermitServer(
                [_ENDPOINT], Limits(_IN_FLIGHT, _IN_FLIGHT, 1.0), observers=(log.observe, prefix.observe)
            ) as server,
        ):
            asyncio.run(_take(server.address, _BEFORE))
            steps = Steps(permits)
            steps.do("permits", lambda: asyncio.run(_take(server.address, permits)))
            steps.do("progress", server.progress)


async def _take(address: PermitAddress, permits: int) -> None:
    numbers = count()
    async with PermitClient(address) as client, asyncio.TaskGroup() as askers:
        for _ in range(_IN_FLIGHT):
            askers.create_task(_ask(client, partial(next, numbers), permits))


async def _ask(client: PermitClient, number_of: Callable[[], int], permits: int) -> None:
    while (number := number_of()) < permits:
        permit = await client.acquire()
        with client.held(permit):
            client.release(permit)
        client.report(permit, _report(number))


def _report(number: int) -> PermitReport:
    refused = number % _REFUSED == 0
    return PermitReport(
        AttemptOutcome.AGAIN if refused else AttemptOutcome.ANSWERED,
        available=None if refused else True,
        reason="overloaded" if refused else None,
        latency_seconds=1.0 + number % 977 / 100,
        queue_seconds=0.1,
        prompt_tokens=2_900,
        answer_tokens=89,
        done_tokens=500,
        request_key=f"{number:064}",
        task=number % _IN_FLIGHT,
        attempt=1,
        status=503 if refused else 200,
        started_at=time.time(),
        estimated_prompt_tokens=2_900,
    )


if __name__ == "__main__":
    main()
