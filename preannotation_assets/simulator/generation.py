"""How long an answer takes, and how much of it there is: prefill, decoding, limits.

Time is ``(prompt - cached) / prefill_rate`` and then a token every ``1 / decode_rate(busy slots)``.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from preannotation_assets.simulator.answer_text import AnswerToken
from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.refusals import GenerationBrokenError, RunnerStoppedError
from preannotation_assets.simulator.runner import Runner
from preannotation_assets.simulator.settings import TimeModel

__all__ = ["LimitedAnswer", "Pace", "Progress", "give_up_repeats", "limit_answer", "output_limit"]

_TICK_SECONDS = 0.05
_MOST_REPEATS = 30


@dataclass(frozen=True, slots=True)
class LimitedAnswer:
    """An answer as far as the limits let it come.

    ``evaluated`` is eval_count: the tokens and, where the answer ended by itself, its end mark. ``is_done``
    is false where Ollama gives the answer up.
    """

    tokens: tuple[AnswerToken, ...]
    done_reason: str
    evaluated: int
    is_shifted: bool
    is_done: bool = True


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


def give_up_repeats(answer: LimitedAnswer) -> LimitedAnswer:
    """Give an answer up where a token repeats the one before it for the 31st time, blanks around it aside.

    As Ollama does with what it renders itself (llm/llama_server.go, "token repeat limit"): the token that is
    one too many is not passed on, and neither is any count or duration.
    """
    last, repeats = "", 0
    for position, token in enumerate(answer.tokens):
        if not token.text:
            continue
        repeats = repeats + 1 if token.text.strip() == last else 0
        last = token.text.strip()
        if repeats > _MOST_REPEATS:
            return replace(answer, tokens=answer.tokens[:position], evaluated=position + 1, is_done=False)
    return answer


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
        runner.reading += 1
        try:
            await runner.pause(self.clock.real_seconds(seconds))
        finally:
            runner.reading -= 1
        return seconds

    async def decode(self, runner: Runner, count: int) -> AsyncIterator[Progress]:
        """Write ``count`` tokens, saying now and then how many there are; the last says all.

        Raises ``RunnerStoppedError`` for a crash before the first token and
        ``GenerationBrokenError`` for a later one.
        """
        written, seconds, exact = 0, 0.0, 0.0
        while written < count:
            rate = self.decode_rate(runner.busy) * self._share(runner)
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

    def _share(self, runner: Runner) -> float:
        return self.time.decode_share_while_reading if runner.reading else 1.0
