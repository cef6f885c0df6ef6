"""One request as the engine sees it: a prompt to read and a number of steps to write."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Phase", "Sequence"]


class Phase(Enum):
    """Where a sequence is."""

    WAITING = auto()
    READING = auto()
    WRITING = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Sequence:
    """A prompt of some ``tokens`` and ``steps`` steps of writing (one token each without drafts).

    ``blocks`` are the keys of the prompt's whole blocks, each made from all that stands before its end.
    ``admitted_by`` is called when it first runs, ``left_by`` when it ends. ``moved`` is set where
    somebody watches, whenever ``interval`` more steps were written, and at the end. Times are simulated
    seconds of the engine, None where it has not happened; ``written`` counts steps up to the last preemption
    or the end.
    """

    number: int
    tokens: tuple[str, ...]
    blocks: tuple[int, ...]
    steps: int
    ended: "asyncio.Future[None]"
    admitted_by: "Callable[[Sequence], None]"
    left_by: "Callable[[Sequence], None]"
    moved: asyncio.Event | None = None
    interval: int = 1
    phase: Phase = Phase.WAITING
    to_read: int = 0
    cached: int = 0
    written: int = 0
    told: int = 0
    joined_step: int = 0
    arrived: float = 0.0
    admitted: float | None = None
    first_token: float | None = None
    finished: float | None = None

    @property
    def prompt_tokens(self) -> int:
        """The length of the prompt."""
        return len(self.tokens)
