"""Chance that is the same in every run: fractions made from a seed and what they are drawn for."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["choose", "fraction"]

Item = TypeVar("Item")

_RANGE = 1 << 64


def fraction(*parts: object) -> float:
    """A number in [0, 1), spread evenly, that depends on ``parts`` and on nothing else."""
    source = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(source, digest_size=8).digest(), "big") / _RANGE


def choose(items: Sequence[Item], *parts: object) -> Item:
    """One of ``items`` (at least one), by ``parts``."""
    return items[int(fraction(*parts) * len(items))]
