"""What is said of the prefix cache, from replies with planted times."""

from dataclasses import replace

import pytest

from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.trying.page_asker import AskedChunk
from preannotation_assets.trying.prefix_report import prefix_lines

CONSTANT = 1800
REPLY = ChatReply(
    content="{",
    done=True,
    done_reason="length",
    prompt_tokens=CONSTANT,
    answer_tokens=1,
    total_seconds=None,
    load_seconds=None,
    prompt_seconds=1.8,
    answer_seconds=None,
    queue_seconds=None,
    token_lengths=None,
    token_logprobs=None,
)


def _asked(pages: int, reused: int, endpoint: str = "http://gpu") -> list[AskedChunk]:
    asked = []
    for number in range(pages):
        tokens = CONSTANT + 500 + 311 * number
        reply = replace(REPLY, prompt_tokens=tokens, prompt_seconds=(tokens - reused) / 1000)
        warm_up = None if number else REPLY
        asked.append(
            AskedChunk(Chunk(0, 9, tokens - CONSTANT), endpoint, reply, None, 1.0, False, 2400, 0.0, warm_up)
        )
    return asked


@pytest.mark.parametrize(
    ("reused", "said"),
    [
        (CONSTANT, "about 100% of the 1,800 tokens before each page are reused"),
        (0, "about 100% of the 1,800 tokens before each page are read anew; switch it on, or take"),
    ],
)
def test_what_each_endpoint_reuses_is_told(reused: int, said: str) -> None:
    lines = list(prefix_lines(_asked(6, reused) + _asked(1, 0, "http://other")))
    assert len(lines) == 1
    assert lines[0].startswith(f"prefix cache of http://gpu: {said}")


def test_too_few_requests_claim_nothing() -> None:
    [line] = prefix_lines(_asked(2, CONSTANT)[:2])
    assert "2 requests do not tell" in line or "are reused" in line
    [line] = prefix_lines([replace(item, reply=None, warm_up=None) for item in _asked(3, 0)])
    assert "3 requests do not tell whether the 2,400 tokens before each page are reused" in line
