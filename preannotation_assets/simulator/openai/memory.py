"""Where sequences keep what they have read: vLLM's blocks of all, or the slots of llama.cpp's server."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from preannotation_assets.simulator.openai.sequence import Sequence
from preannotation_assets.simulator.tokens import common_prefix_length

__all__ = ["BlockMemory", "Memory", "SlotMemory"]


_WATERMARK = 0.01
"""vLLM's: what must stay free when a sequence is admitted, so that it is not preempted at once."""


class Memory(Protocol):
    """The room of an engine; all counts are tokens."""

    def take(self, sequence: Sequence) -> int | None:
        """Make room for what a sequence has so far; how much of it is cached, None without room."""

    def grow(self, tokens: int) -> None:
        """The running sequences together have written ``tokens`` more."""

    def room(self) -> int | None:
        """How many more tokens the running sequences may write; None without a limit."""

    def release(self, sequence: Sequence) -> None:
        """Give back what a sequence holds; ``sequence.written`` counts all it grew by."""

    def usage(self) -> float:
        """The held share of the memory, from 0 to 1."""


@dataclass(slots=True)
class BlockMemory:
    """Room for ``capacity`` tokens; whole blocks of prompts are shared and kept, least used go first.

    As in vLLM, only whole blocks of ``block_tokens`` are found again, and the last token of a prompt is
    always read anew. What sequences write is counted in tokens, not in blocks.
    """

    capacity: int
    block_tokens: int
    is_caching: bool
    _held: dict[int, int] = field(default_factory=dict)
    _idle: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    _private: int = 0

    def take(self, sequence: Sequence) -> int | None:
        """Hold the blocks of the prompt, those found again shared, and room for the rest."""
        found = self._found(sequence)
        unheld = sum(1 for block in sequence.blocks if block not in self._held)
        private = self._rest(sequence) + sequence.written
        room = self.capacity * (1 - _WATERMARK) if self._held or self._private else self.capacity
        if self._used() + unheld * self.block_tokens + private > room:
            return None
        for block in sequence.blocks:
            self._idle.pop(block, None)
            self._held[block] = self._held.get(block, 0) + 1
        self._private += private
        self._evict()
        return found * self.block_tokens

    def grow(self, tokens: int) -> None:
        """Count what was written."""
        self._private += tokens
        self._evict()

    def room(self) -> int | None:
        """What is left beside all that is held."""
        return self.capacity - self._used()

    def release(self, sequence: Sequence) -> None:
        """Blocks that nobody holds any more stay until the room is needed, the start of a prompt longest."""
        for block in reversed(sequence.blocks):
            self._held[block] -= 1
            if not self._held[block]:
                del self._held[block]
                if self.is_caching:
                    self._idle[block] = None
        self._private -= self._rest(sequence) + sequence.written

    def usage(self) -> float:
        """The held share."""
        return self._used() / self.capacity

    def _found(self, sequence: Sequence) -> int:
        most = (sequence.prompt_tokens - 1) // self.block_tokens if self.is_caching else 0
        found = 0
        for block in sequence.blocks[:most]:
            if block not in self._held and block not in self._idle:
                break
            found += 1
        return found

    def _rest(self, sequence: Sequence) -> int:
        return sequence.prompt_tokens - len(sequence.blocks) * self.block_tokens

    def _used(self) -> int:
        return len(self._held) * self.block_tokens + self._private

    def _evict(self) -> None:
        spare = (self.capacity - self._used()) // self.block_tokens
        while self._idle and len(self._idle) > spare:
            self._idle.popitem(last=False)


@dataclass(slots=True)
class _Slot:
    """A place for one sequence and the prompt it read last."""

    tokens: tuple[str, ...] = ()
    last_used: int = 0


class SlotMemory:
    """``slots`` places; one that has read the longest start of the prompt is best, token by token."""

    def __init__(self, slots: int) -> None:
        """Begin with all places free and empty."""
        self._slots = slots
        self._free = [_Slot() for _ in range(slots)]
        self._taken: dict[Sequence, _Slot] = {}
        self._uses = 0

    def take(self, sequence: Sequence) -> int | None:
        """A free slot."""
        if not self._free:
            return None
        lengths = [common_prefix_length(slot.tokens, sequence.tokens) for slot in self._free]
        best = max(range(len(lengths)), key=lambda place: (lengths[place], -self._free[place].last_used))
        slot = self._free.pop(best)
        self._uses += 1
        slot.tokens, slot.last_used = sequence.tokens, self._uses
        self._taken[sequence] = slot
        return max(min(lengths[best], sequence.prompt_tokens - 1), 0)

    def grow(self, tokens: int) -> None:
        """Nothing: every slot has room for a whole window."""

    def room(self) -> int | None:
        """No limit."""
        return None

    def release(self, sequence: Sequence) -> None:
        """The slot is free and keeps what it has read."""
        self._free.append(self._taken.pop(sequence))

    def usage(self) -> float:
        """The taken share."""
        return len(self._taken) / self._slots
