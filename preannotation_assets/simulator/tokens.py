"""Counting tokens about as Llama 3's tokenizer does, without its vocabulary.

The pieces of a text joined give the text. Digits go by three, runs of punctuation stay together, a
common English word with its leading blank is one piece, and any other word is cut into pieces of
four letters and then three; capitals and letters outside ASCII are cut shorter. docs/simulator.md
has the measured ratio of characters to tokens.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from zlib import crc32

import regex

from preannotation_assets.simulator.vocabulary import COMMON_WORDS

__all__ = ["common_prefix_length", "split_tokens", "token_id"]

_SPECIAL = r"<\|[a-z_]+\|>|<(?:start_of_turn|end_of_turn|bos|eos)>"
_PIECE = regex.compile(
    rf"{_SPECIAL}| (?={_SPECIAL})"
    r"|(?P<word> ?[A-Za-z]+)"
    r"| ?\p{L}"
    r"|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}<]{1,3}[\r\n]?"
    r"| ?<"
    r"|\s*[\r\n]"
    r"|\s+(?=\s)"
    r"|\s"
)
_LOWER_PART = regex.compile(r" ?[A-Z]?[a-z]{1,4}| ?[A-Z]{1,3}")
_LOWER_REST = regex.compile(r"[A-Z]?[a-z]{1,3}|[A-Z]{1,2}")
_VOCABULARY_SIZE = 128_256
_SHORT_PIECE = 4
_BLOCK = 128
_REMEMBERED_WORDS = 8_192


def split_tokens(text: str) -> list[str]:
    """The pieces of ``text`` in order; joined they are ``text``."""
    pieces: list[str] = []
    for match in _PIECE.finditer(text):
        piece = match.group()
        is_whole = match.lastgroup is None or len(piece) <= _SHORT_PIECE
        if is_whole or piece.strip().lower() in COMMON_WORDS:
            pieces.append(piece)
        else:
            pieces.extend(_word_pieces(piece))
    return pieces


@lru_cache(maxsize=_REMEMBERED_WORDS)
def _word_pieces(word: str) -> tuple[str, ...]:
    start = _LOWER_PART.match(word)
    position = start.end() if start else 1
    return (word[:position], *_LOWER_REST.findall(word, position))


def token_id(token: str) -> int:
    """A number in the range of Llama 3's vocabulary for a piece."""
    return crc32(token.encode("utf-8", "surrogatepass")) % _VOCABULARY_SIZE


def common_prefix_length(left: Sequence[str], right: Sequence[str]) -> int:
    """How many pieces two token lists have in common from the start."""
    limit = min(len(left), len(right))
    same = 0
    while same < limit and left[same : same + _BLOCK] == right[same : same + _BLOCK]:
        same = min(same + _BLOCK, limit)
    pairs = zip(left[same : same + _BLOCK], right[same : same + _BLOCK], strict=False)
    return same + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
