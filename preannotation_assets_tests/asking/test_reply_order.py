"""Where many replies come at once, the next requests do not wait until all of them are judged."""

import asyncio
from typing import Any

import pytest

from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.throttling.dispatcher import Limits

AT_ONCE = 4
TEXTS = [f"MV STAR {number} left Kiel." for number in range(3 * AT_ONCE)]


def test_of_replies_that_come_together_one_is_judged_a_turn_of_the_event_loop(
    simulator: Any, new_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, read = ChatClient.send, ChatClient.read
    back: list[asyncio.Future[None]] = []
    judged_in_turns = [0]

    async def send_and_wait_for_others(self: ChatClient, *request: Any) -> Exchange:
        exchange = await send(self, *request)
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        back.append(reply)
        if len(back) == AT_ONCE:
            for waiting in back:
                waiting.set_result(None)
            back.clear()
        await reply
        return exchange

    def count_and_read(self: ChatClient, *exchange: Any) -> Any:
        judged_in_turns[-1] += 1
        if judged_in_turns[-1] == 1:
            asyncio.get_running_loop().call_soon(judged_in_turns.append, 0)
        return read(self, *exchange)

    monkeypatch.setattr(ChatClient, "send", send_and_wait_for_others)
    monkeypatch.setattr(ChatClient, "read", count_and_read)
    run = new_run(simulator(), limits=Limits(max_in_flight=AT_ONCE))
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert (sum(judged_in_turns), max(judged_in_turns)) == (len(TEXTS), 1)
