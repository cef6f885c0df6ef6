"""What ``preannotate try`` says of the prompt's constant part: whether each page has it read anew. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from preannotation_assets.model_servers.prefix_reuse import PrefixReadings, Reading
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.trying.page_asker import AskedChunk
from preannotation_assets.visible_text import visible

__all__ = ["prefix_lines"]

_READ_ANEW_BELOW: Final = 0.5


def prefix_lines(asked: Sequence[AskedChunk]) -> Iterator[str]:
    """A line for each endpoint that had more than one request: how much of the constant part it reused."""
    by_endpoint: dict[str, list[AskedChunk]] = {}
    for item in asked:
        by_endpoint.setdefault(item.endpoint, []).append(item)
    for endpoint, items in by_endpoint.items():
        if len(items) > 1:
            yield f"prefix cache of {visible(endpoint)}: {_told(items)}"


def _told(items: Sequence[AskedChunk]) -> str:
    readings = PrefixReadings(items[0].constant_tokens)
    for item in items:
        if item.warm_up:
            readings.warm_ups.append(_reading(item.warm_up, item.constant_tokens))
        if item.reply and not item.is_first:
            estimate = item.constant_tokens + item.chunk.estimated_tokens
            readings.pages.append(_reading(item.reply, estimate))
    share, constant = readings.reused(), round(readings.constant_tokens)
    if share is None:
        return (
            f"{len(items)} requests do not tell whether the {constant:,} tokens before each page are reused"
        )
    if share < _READ_ANEW_BELOW:
        return (
            f"about {1 - share:.0%} of the {constant:,} tokens before each page are read anew; switch it on,"
            " or take a model without a sliding window"
        )
    return f"about {share:.0%} of the {constant:,} tokens before each page are reused"


def _reading(reply: ChatReply, estimated_tokens: int) -> Reading:
    return Reading(reply.prompt_tokens, reply.prompt_seconds, reply.cached_tokens, estimated_tokens)
