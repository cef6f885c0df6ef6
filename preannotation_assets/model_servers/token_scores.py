"""The log-probabilities that a server gives with an answer, put to their places in it. Pure."""

import math
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

__all__ = ["as_float", "place_tokens", "read_token_scores"]

_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def read_token_scores(
    entries: object, content: str
) -> tuple[tuple[int, ...], tuple[float, ...]] | tuple[None, None]:
    """Lengths and log-probabilities of the content's tokens from ``[{"token": …, "logprob": …}, …]``.

    Ollama and OpenAI-compatible servers both write them so. Of ``content`` and tokens lone surrogates count
    as replacement characters. Both results are None where an entry is not of this form, or the tokens
    cannot be placed (``place_tokens``).
    """
    if not isinstance(entries, list) or not entries:
        return None, None
    tokens: list[str] = []
    logprobs: list[float] = []
    for entry in entries:
        token = entry.get("token") if isinstance(entry, dict) else None
        logprob = entry.get("logprob") if isinstance(entry, dict) else None
        if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            return None, None
        tokens.append(token)
        logprobs.append(as_float(logprob))
    return place_tokens(tokens, logprobs, content)


def place_tokens(
    tokens: Sequence[str], logprobs: Sequence[float], content: str
) -> tuple[tuple[int, ...], tuple[float, ...]] | tuple[None, None]:
    """The tokens of ``content`` among those that the model wrote: lengths in code points, log-probabilities.

    The lengths add up to the content's length. Servers take blanks and fences around an answer out of the
    content and leave their tokens in the list (llama.cpp, ``common/chat-auto-parser-generator.cpp``), so the
    content may be a part of the joined tokens. A token that reaches over its border counts with what is
    inside. Both are None where the content is no part of them or several: then nobody knows which tokens
    are its own.
    """
    joined = _whole("".join(tokens))
    wanted = _whole(content)
    start = joined.find(wanted)
    if not wanted or start < 0 or joined.find(wanted, start + 1) >= 0:
        return None, None
    if len(joined) == len(wanted):
        return tuple(map(len, tokens)), tuple(logprobs)
    end = start + len(wanted)
    lengths: list[int] = []
    placed: list[float] = []
    for token_end, token, logprob in zip(accumulate(map(len, tokens)), tokens, logprobs, strict=True):
        inside = min(token_end, end) - max(token_end - len(token), start)
        if inside > 0:
            lengths.append(inside)
            placed.append(logprob)
    return tuple(lengths), tuple(placed)


def as_float(number: float) -> float:
    """A number of JSON; an integer that is too large for a float is as little known as an infinite one."""
    try:
        return float(number)
    except OverflowError:
        return math.nan


def _whole(text: str) -> str:
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
