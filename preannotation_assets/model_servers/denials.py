"""Whether an endpoint denies everybody or one request: a login and a firewall answer alike.

A login page stands before all requests. A web firewall reads them, and denies one for the words that are in
it; a server may refuse one in words that it uses of all. What was denied does not tell which; another request
with the same headers and settings, which holds no page, does.
"""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.model_servers.outcomes import Denied, Outcome, Stop, Unavailable
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["DenialWatch"]


@dataclass(frozen=True, slots=True)
class _Probe:
    """When a probe was sent, by the monotonic clock, and what it says of all that was denied before."""

    sent_at: float
    verdict: Outcome


class DenialWatch:
    """Looks into denials. One for a task: of requests that are denied at the same time one probe tells."""

    def __init__(self, client: ChatClient, template: RequestTemplate) -> None:
        self._client = client
        self._template = template
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._probes: dict[str, _Probe] = {}

    async def look_into(self, exchange: Exchange, outcome: Outcome, total_seconds: float) -> Outcome:
        """What an outcome is worth: itself, unless an error says that no request can succeed.

        Then it is ``Denied`` where the endpoint lets a probe through, ``Stop`` where the probe meets with
        such an error too, and what became of the probe where no server served it. Call it under the permit
        of the request that was denied.
        """
        if not isinstance(outcome, Stop) or exchange.is_reply:
            return outcome
        denied_at = time.monotonic()
        async with self._locks[exchange.endpoint]:
            probe = self._probes.get(exchange.endpoint)
            if probe is None or not (probe.sent_at >= denied_at or isinstance(probe.verdict, Stop)):
                probe = await self._probe(exchange.endpoint, total_seconds)
                self._probes[exchange.endpoint] = probe
        return probe.verdict

    async def _probe(self, endpoint: str, total_seconds: float) -> _Probe:
        sent_at = time.monotonic()
        exchange = await self._client.probe(endpoint, self._template, total_seconds)
        outcome = self._client.read(exchange, self._template)
        # One token is no whole answer. Whatever a reply is, it was let through.
        is_told = isinstance(outcome, Stop | Unavailable) and not exchange.is_reply
        return _Probe(sent_at, outcome if is_told else Denied())
