"""What a slot need not read again: the common prefix, or the last checkpoint within it.

As in llama-server (tools/server/server-context.cpp, August 2026). Where attention is over a sliding window, a
slot forgets what lies behind it: it can go back by one batch, or to a checkpoint. Checkpoints are made 4
tokens before a prompt's end and one batch before that, and of those of earlier prompts only the first stays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from preannotation_assets.simulator.tokens import common_prefix_length

__all__ = ["PrefixReuse", "Slot", "reuse_checkpoint", "reuse_prefix"]

_BATCH = 1_024
_BEFORE_THE_END = 4
_LEAST_CHECKPOINT = 64


@dataclass(slots=True)
class Slot:
    """One place for a request, the tokens that its cache holds, and its checkpoints as token counts."""

    number: int
    cached: tuple[str, ...] = ()
    last_used: int = 0
    checkpoints: tuple[int, ...] = ()


PrefixReuse: TypeAlias = Callable[[Slot, tuple[str, ...]], int]
"""Puts a prompt into a slot; returns how many of its tokens need no work."""


def reuse_prefix(slot: Slot, prompt: tuple[str, ...]) -> int:
    """Reuse all that is common, up to the last token."""
    common = _common(slot, prompt)
    slot.cached = prompt
    return common


def reuse_checkpoint(slot: Slot, prompt: tuple[str, ...]) -> int:
    """Reuse what is common where the slot is at most one batch further, else up to the last checkpoint."""
    common = _common(slot, prompt)
    if len(slot.cached) - common <= _BATCH:
        reused = common
    else:
        reused = max((count for count in slot.checkpoints if count <= common), default=0)
    kept = [count for count in slot.checkpoints if count <= reused][:1]
    end = len(prompt) - _BEFORE_THE_END
    made = [count for count in (end - _BATCH, end) if count >= _LEAST_CHECKPOINT and count > reused]
    slot.checkpoints = (*kept, *made)
    slot.cached = prompt
    return reused


def _common(slot: Slot, prompt: tuple[str, ...]) -> int:
    return max(min(common_prefix_length(slot.cached, prompt), len(prompt) - 1), 0)
