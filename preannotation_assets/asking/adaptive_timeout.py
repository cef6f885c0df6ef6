"""How long an answer may take, learned from how long answers took. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.model_servers.reply import ChatReply

__all__ = ["AdaptiveTimeout"]

_ANSWERS_LOOKED_AT: Final = 50
_FEWEST_ANSWERS: Final = 5
_MARGIN: Final = 4.0


@dataclass(slots=True)
class AdaptiveTimeout:
    """A time-out learned from the model's own speed in the last 50 answers.

    A request may take four times what the slowest of them makes of its prompt and the longest answer
    allowed, plus the longest wait in the server's queue, but never less than ``shortest`` seconds (a
    crashed model is loaded again in that time) nor more than ``longest``. Before there are five answers
    it is ``longest``.
    """

    shortest: float
    longest: float
    _prompt_rates: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_LOOKED_AT))
    _answer_rates: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_LOOKED_AT))
    _queue_times: deque[float] = field(default_factory=lambda: deque(maxlen=_ANSWERS_LOOKED_AT))

    def observe(self, reply: ChatReply) -> None:
        """Learns from an answer; one that lacks its durations teaches nothing.

        Cached tokens count as read, which makes reading look faster than it is; the margin is for that.
        """
        if reply.answer_tokens and reply.answer_seconds and reply.prompt_tokens:
            self._answer_rates.append(reply.answer_tokens / reply.answer_seconds)
            self._prompt_rates.append(reply.prompt_tokens / max(reply.prompt_seconds or 0.0, 1e-3))
            self._queue_times.append(reply.queue_seconds or 0.0)

    def total_seconds(self, prompt_tokens: int, longest_answer: int) -> float:
        """How long a request may take, from sending to the last byte; sizes are tokens."""
        if len(self._answer_rates) < _FEWEST_ANSWERS:
            return self.longest
        work = prompt_tokens / min(self._prompt_rates) + longest_answer / min(self._answer_rates)
        return min(self.longest, max(self.shortest, _MARGIN * work + max(self._queue_times)))
