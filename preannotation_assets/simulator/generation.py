"""How long an answer takes, and how much of it there is: prefill, decoding, limits.

Time is ``(prompt - cached) / prefill_rate`` and then a token every ``1 / decode_rate(busy slots)``.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.refusals import GenerationBrokenError, RunnerStoppedError
from preannotation_assets.simulator.runner import Runner
from preannotation_assets.simulator.settings import TimeModel

__all__ = ["LimitedAnswer", "Pace", "Progress", "limit_answer", "output_limit"]

_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LimitedAnswer:
    """An answer as far as the limits let it come.

    ``evaluated`` is eval_count: the tokens and, where the answer ended by itself, its end mark.
    """

    tokens: tuple[AnswerToken, ...]
    done_reason: str
    evaluated: int
    is_shifted: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tokens there are, after how many simulated seconds of decoding."""

    tokens: int
    seconds: float


def output_limit(prompt_tokens: int, context: int, requested: int, shift: bool) -> int:
    """The most tokens an answer may have: with ``shift`` the context does not limit it."""
    return requested if shift else max(min(requested, context - prompt_tokens), 1)


def limit_answer(tokens: Sequence[AnswerToken], limit: int, room: int) -> LimitedAnswer:
    """Cut an answer at ``limit`` tokens; beyond ``room`` tokens the context has been shifted."""
    if len(tokens) < limit:
        return LimitedAnswer(tuple(tokens), "stop", len(tokens) + 1, len(tokens) > room)
    return LimitedAnswer(tuple(tokens[:limit]), "length", limit, limit > room)


@dataclass(frozen=True, slots=True)
class Pace:
    """The time model at work."""

    time: TimeModel
    clock: SimulatedClock

    def decode_rate(self, busy_slots: int) -> float:
        """Tokens a second in each of so many busy slots."""
        return self.time.decode_rate / (1 + self.time.slowdown_per_slot * max(busy_slots - 1, 0))

    async def prefill(self, runner: Runner, tokens: int) -> float:
        """Read ``tokens`` of a prompt; returns the simulated seconds.

        Raises ``RunnerStoppedError`` if the runner crashes meanwhile.
        """
        seconds = tokens / self.time.prefill_rate
        await runner.pause(self.clock.real_seconds(seconds))
        return seconds

    async def decode(self, runner: Runner, count: int) -> AsyncIterator[Progress]:
        """Write ``count`` tokens, saying now and then how many there are; the last says all.

        Raises ``RunnerStoppedError`` for a crash before the first token and
        ``GenerationBrokenError`` for a later one.
        """
        written, seconds, exact = 0, 0.0, 0.0
        while written < count:
            rate = self.decode_rate(runner.busy)
            left = (count - exact) / rate
            started = self.clock.now()
            try:
                await runner.pause(min(self.clock.real_seconds(left), _TICK_SECONDS))
            except RunnerStoppedError:
                if written:
                    raise GenerationBrokenError from None
                raise
            passed = self.clock.simulated_seconds(self.clock.now() - started) if self.clock.speed else left
            passed = min(passed, left)
            seconds += passed
            exact += passed * rate
            written = min(int(exact + 1e-6), count)
            yield Progress(written, seconds)
        if not count:
            await asyncio.sleep(0)
