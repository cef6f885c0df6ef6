"""How single pages are asked about: which slots are held, and what is asked once more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shared.asking_runs import POLICY, SCHEME
from shared.hostile_replies import HostileReply, front, hostile_page

from preannotation_assets.errors import AccessDeniedError
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import PageRow, text_sha256
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.simulator import Fault, FaultRule
from preannotation_assets.trying.page_asker import AskedChunk, PageAsker, SharedSemaphore

GOOD = ["MV OCEAN STAR left Rotterdam.", "MV ALDER left Hull."]
FIREWALL = {"page": HostileReply("refused", b"<html>blocked</html>", 403, "text/html")}
AskPages = Callable[[str, Sequence[str]], list[AskedChunk]]


class CountedSlots(SharedSemaphore):
    """Slots of which there are always some; it counts how often one is taken."""

    taken = 0

    @asynccontextmanager
    async def one(self, endpoint: str) -> AsyncIterator[None]:
        CountedSlots.taken += 1
        yield


@pytest.fixture
def ask_pages(template_with_example: RequestTemplate, monkeypatch: pytest.MonkeyPatch) -> AskPages:
    """Asks about pages of one chunk each, after a warm-up."""
    monkeypatch.setattr(CountedSlots, "taken", 0)

    async def ask(url: str, texts: Sequence[str]) -> list[AskedChunk]:
        async with ChatClient(OllamaServer(), Timeouts(), {}, frozenset()) as client:
            asker = PageAsker(
                client,
                [url],
                template_with_example,
                ChunkLimits(),
                parse_label_scheme(SCHEME, "test"),
                CountedSlots(None, 1),
                60.0,
                POLICY,
                warms_up=True,
            )
            pages = [PageRow("d", number, text, text_sha256(text)) for number, text in enumerate(texts, 1)]
            return [asked for page in pages for asked in (await asker.ask(page)).asked]

    return lambda url, texts: asyncio.run(ask(url, texts))


def test_a_warm_up_and_the_page_after_it_have_one_slot(simulator: Any, ask_pages: AskPages) -> None:
    server = simulator()
    asked = ask_pages(server.url, GOOD)
    assert [item.reason for item in asked] == [None, None]
    assert [item.warm_up is not None for item in asked] == [True, False]
    assert len(server.requests()) == 1 + 2
    assert CountedSlots.taken == 2


def test_after_a_warm_up_that_was_lost_the_page_waits_for_another_slot(
    simulator: Any, ask_pages: AskPages
) -> None:
    server = simulator(faults=(FaultRule(Fault.SOCKET_RESET, requests=(1,)),))
    (asked,) = ask_pages(server.url, GOOD[:1])
    assert (asked.reason, asked.warm_up, asked.is_first) == (None, None, True)
    assert len(server.requests()) == 1 + 1
    assert CountedSlots.taken == 2


def test_what_is_denied_for_a_moment_is_asked_once_more(simulator: Any, ask_pages: AskPages) -> None:
    server = simulator(faults=(FaultRule(Fault.LOGIN_REDIRECT, requests=(2,)),))
    asked = ask_pages(server.url, GOOD)
    assert [item.reason for item in asked] == [None, None]


def test_a_page_that_a_firewall_blocks_is_refused_alone(simulator: Any, ask_pages: AskPages) -> None:
    with front(simulator().url, FIREWALL) as standing:
        asked = ask_pages(standing.url, [hostile_page(0), *GOOD])
    assert [item.reason for item in asked] == [Reason.REFUSED, None, None]
    assert standing.asked["page"] == 2


def test_a_login_before_all_requests_ends_it_after_one_look(simulator: Any, ask_pages: AskPages) -> None:
    server = simulator(faults=(FaultRule(Fault.LOGIN_PAGE, probability=1.0),))
    with pytest.raises(AccessDeniedError):
        ask_pages(server.url, GOOD)
    # The warm-up, the page, and the look.
    assert len(server.requests()) == 3
