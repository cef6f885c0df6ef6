"""Which documents examples may be learned from, and which are held out to measure with.

A document is one or the other for good, whoever looks, and whatever else is reviewed: what was measured with
one scheme was never an example in another.
"""

import hashlib
from typing import Final

__all__ = ["digest_of", "is_held_out"]

_DIGITS: Final = 16


def digest_of(doc_id: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a doc_id: names a document in a label scheme."""
    return hashlib.sha256(doc_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def is_held_out(doc_id: str) -> bool:
    """Whether the first digit of the document's digest is even, which half of them have."""
    return int(digest_of(doc_id)[0], 16) % 2 == 0
