from dataclasses import replace

import pytest

from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.trying.page_asker import AskedChunk, measures_of
from preannotation_assets.trying.projection import Measure

REPLY = ChatReply(
    content='{"spans": []}',
    done=True,
    done_reason="stop",
    prompt_tokens=1000,
    answer_tokens=50,
    total_seconds=13.0,
    load_seconds=1.0,
    prompt_seconds=8.0,
    answer_seconds=2.0,
    queue_seconds=2.0,
    token_lengths=None,
    token_logprobs=None,
)
ASKED = AskedChunk(
    chunk=Chunk(0, 700, 200),
    endpoint="http://a",
    reply=REPLY,
    reason=None,
    seconds=14.0,
    is_first=False,
    constant_tokens=600,
    answered_at=0.0,
)


def test_neither_the_wait_nor_the_load_counts() -> None:
    assert measures_of([ASKED]) == [Measure(200, 50, 8.0, 2.0)]


def test_of_the_first_prompt_of_a_server_only_the_pages_share_of_the_reading_counts() -> None:
    """200 of 800 tokens: later requests find the others in the server's cache."""
    assert measures_of([replace(ASKED, is_first=True)]) == [Measure(200, 50, 2.0, 2.0)]


@pytest.mark.parametrize("is_first", [True, False])
def test_without_durations_the_whole_time_counts(is_first: bool) -> None:
    bare = replace(REPLY, prompt_seconds=None, answer_seconds=None, answer_tokens=None)
    assert measures_of([replace(ASKED, reply=bare, is_first=is_first)]) == [Measure(200, None, 0.0, 14.0)]


def test_a_prompt_from_the_cache_takes_no_time() -> None:
    """Ollama leaves out durations of zero."""
    cached = replace(REPLY, prompt_seconds=None)
    assert measures_of([replace(ASKED, reply=cached)]) == [Measure(200, 50, 0.0, 2.0)]


def test_what_failed_is_no_measure() -> None:
    assert measures_of([replace(ASKED, reason=Reason.ANSWER_TOO_LONG), replace(ASKED, reply=None)]) == []
