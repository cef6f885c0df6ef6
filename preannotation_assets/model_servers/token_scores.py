"""The log-probabilities that a server gives with an answer, put to their places in it. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from preannotation_assets.extraction.surrogates import without_surrogates
from preannotation_assets.model_servers.character_parts import Placed, ScoredText, place_around_parts
from preannotation_assets.model_servers.json_values import as_number

__all__ = ["TokenScores", "place_bytes", "place_tokens", "read_token_scores"]

TokenScores = tuple[tuple[int, ...], tuple[float, ...]] | tuple[None, None]
"""Lengths in code points and log-probabilities of the tokens of a content, or neither."""

_MOST_OF_A_BYTE = 255


def read_token_scores(entries: object, content: str) -> TokenScores:
    """Lengths and log-probabilities of the content's tokens from ``[{"token": …, "logprob": …}, …]``.

    Ollama and OpenAI-compatible servers both write them so. Of ``content`` and tokens lone surrogates count
    as replacement characters. Characters that several tokens make are placed by the tokens' texts, else by
    their ``bytes``, else between the characters that are whole (``character_parts``). A log-probability that
    is unknown is not a number. Both results are None where an entry is not of this form, no entry has a
    log-probability, or the tokens cannot be placed.
    """
    if not isinstance(entries, list):
        return None, None
    read = _read_entries(entries)
    if read is None:
        return None, None
    texts, logprobs = read
    placed = place_tokens(*_with_whole_characters(texts, logprobs), content)
    if placed[0] is None:
        placed = place_bytes([_as_bytes(entry.get("bytes")) for entry in entries], logprobs, content)
    if placed[0] is None:
        scored = [ScoredText(text, logprob) for text, logprob in zip(texts, logprobs, strict=True)]
        return _as_scores(place_around_parts(scored, content))
    return placed


def place_tokens(tokens: Sequence[str], logprobs: Sequence[float], content: str) -> TokenScores:
    """The tokens of ``content`` among those that the model wrote: lengths in code points, log-probabilities.

    The lengths add up to the content's length. Servers take blanks and fences around an answer out of the
    content and leave their tokens in the list (llama.cpp, ``common/chat-auto-parser-generator.cpp``), so the
    content may be a part of the joined tokens. A token that reaches over its border counts with what is
    inside. Both are None where the content is no part of them or several: then nobody knows which tokens
    are its own.
    """
    joined = without_surrogates("".join(tokens))
    wanted = without_surrogates(content)
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


def place_bytes(tokens: Sequence[bytes | None], logprobs: Sequence[float], content: str) -> TokenScores:
    """The same by the bytes of the tokens, which add up also where a token is a part of a character.

    Tokens that make a character together are one, with the sum of their log-probabilities. Both are None
    where the bytes of a token are unknown as well.
    """
    known = [token for token in tokens if token is not None]
    joined, wanted = b"".join(known), without_surrogates(content).encode()
    start = joined.find(wanted)
    if len(known) < len(tokens) or not wanted or start < 0 or joined.find(wanted, start + 1) >= 0:
        return None, None
    character_ends = list(accumulate(len(character.encode()) for character in without_surrogates(content)))
    lengths: list[int] = []
    placed: list[float] = []
    written, pending, token_end = 0, 0.0, -start
    for token, logprob in zip(known, logprobs, strict=True):
        token_start, token_end = token_end, token_end + len(token)
        if token_end <= 0 or token_start >= len(wanted):
            continue
        pending += logprob
        complete = bisect_right(character_ends, token_end)
        if complete > written:
            lengths.append(complete - written)
            placed.append(pending)
            written, pending = complete, 0.0
    return tuple(lengths), tuple(placed)


def _read_entries(entries: Sequence[object]) -> tuple[list[str], list[float]] | None:
    """Texts and log-probabilities; None where an entry has no text, or none of them a number."""
    texts: list[str] = []
    logprobs: list[float] = []
    has_numbers = False
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        text, logprob = entry.get("token"), entry.get("logprob")
        if not isinstance(text, str):
            return None
        is_number = isinstance(logprob, int | float) and not isinstance(logprob, bool)
        has_numbers = has_numbers or is_number
        texts.append(text)
        logprobs.append(logprob if isinstance(logprob, float) else as_number(logprob))
    return (texts, logprobs) if has_numbers else None


def _as_bytes(value: object) -> bytes | None:
    if not isinstance(value, list):
        return None
    if not all(type(byte) is int and 0 <= byte <= _MOST_OF_A_BYTE for byte in value):
        return None
    return bytes(value)


def _with_whole_characters(
    texts: Sequence[str], logprobs: Sequence[float]
) -> tuple[Sequence[str], Sequence[float]]:
    """Tokens without empty ones, whose log-probabilities are added to those of the token behind them.

    vLLM gives the first tokens of a character that several make as empty ones. The end of the answer is an
    empty one of llama-server's; no token is behind it.
    """
    if "" not in texts:
        return texts, logprobs
    whole: list[str] = []
    sums: list[float] = []
    pending = 0.0
    for text, logprob in zip(texts, logprobs, strict=True):
        pending += logprob
        if text:
            whole.append(text)
            sums.append(pending)
            pending = 0.0
    return whole, sums


def _as_scores(placed: Sequence[Placed] | None) -> TokenScores:
    if placed is None:
        return None, None
    return (
        tuple(length for length, _ in placed),
        tuple(math.nan if logprob is None else logprob for _, logprob in placed),
    )
