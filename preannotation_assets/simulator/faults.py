"""Faults on purpose: which request gets which, by probability, by number, or at once.

Requests for an answer are numbered from 1 in order of arrival; requests that only load a model are
not numbered and get only ``LOAD_FAILURE``.
"""

from dataclasses import dataclass
from enum import StrEnum

from preannotation_assets.simulator.chance import fraction

__all__ = ["EDGE_FAULTS", "Fault", "FaultRule", "FaultSchedule"]


class Fault(StrEnum):
    """What can go wrong with a request."""

    # Ollama and its runner.
    CRASH = "crash"
    CRASH_MID_GENERATION = "crash_mid_generation"
    ERROR_MID_STREAM = "error_mid_stream"
    LOAD_FAILURE = "load_failure"
    SOCKET_RESET = "socket_reset"
    STALL = "stall"
    STALL_MID_STREAM = "stall_mid_stream"
    BUSY = "busy"
    # The answer.
    NOT_DONE = "not_done"
    INVALID_JSON = "invalid_json"
    WHITESPACE = "whitespace"
    EMPTY_ANSWER = "empty_answer"
    EMPTY_LIST = "empty_list"
    ENDLESS_OBJECTS = "endless_objects"
    ENDLESS_CHARACTERS = "endless_characters"
    EQUAL_TOKENS = "equal_tokens"
    DIGEST_CHANGE = "digest_change"
    # A proxy before the server.
    LOGIN_REDIRECT = "login_redirect"
    LOGIN_PAGE = "login_page"
    FORBIDDEN_PAGE = "forbidden_page"
    RATE_LIMIT = "rate_limit"
    RATE_LIMIT_SECONDS = "rate_limit_seconds"
    RATE_LIMIT_DATE = "rate_limit_date"
    EDGE_TIMEOUT = "edge_timeout"


EDGE_FAULTS = frozenset(
    {
        Fault.BUSY,
        Fault.LOGIN_REDIRECT,
        Fault.LOGIN_PAGE,
        Fault.FORBIDDEN_PAGE,
        Fault.RATE_LIMIT,
        Fault.RATE_LIMIT_SECONDS,
        Fault.RATE_LIMIT_DATE,
        Fault.EDGE_TIMEOUT,
    }
)
"""Faults that are answered before a request reaches the queue."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """When a fault strikes: with a probability, at numbered requests, or at the next few.

    ``probability`` is in [0, 1] and drawn from the server's seed and the request's number;
    ``requests`` are request numbers since the rules were set, from 1; ``next_requests`` is how many
    requests from now have it. Once struck, ``burst`` requests in a row have it. ``seconds`` is the real time
    of a stall, what a Retry-After names, or what an edge waits before its 524.
    """

    fault: Fault
    probability: float = 0.0
    requests: tuple[int, ...] = ()
    next_requests: int = 0
    burst: int = 1
    seconds: float = 0.0


class FaultSchedule:
    """Counts requests and says which fault, if any, each one has."""

    def __init__(self, rules: tuple[FaultRule, ...], seed: int) -> None:
        """Start with ``rules`` in force."""
        self._seed = seed
        self.set_rules(rules)

    def set_rules(self, rules: tuple[FaultRule, ...]) -> None:
        """Put ``rules`` in force and count requests from 1 again."""
        self._rules = rules
        self._count = 0
        self._loads = 0
        self._burst_ends = [0] * len(rules)

    def draw(self) -> FaultRule | None:
        """The rule that strikes the next request for an answer: the first that applies."""
        self._count += 1
        for position, rule in enumerate(self._rules):
            if self._count <= self._burst_ends[position]:
                return rule
            if self._strikes(rule, self._count, position):
                self._burst_ends[position] = self._count + rule.burst - 1
                return rule
        return None

    def draw_for_load(self) -> FaultRule | None:
        """The rule that strikes the next request that only loads a model, if one does."""
        self._loads += 1
        for position, rule in enumerate(self._rules):
            if rule.fault is Fault.LOAD_FAILURE and self._strikes(rule, self._loads, position):
                return rule
        return None

    def _strikes(self, rule: FaultRule, number: int, position: int) -> bool:
        if number <= rule.next_requests or number in rule.requests:
            return True
        return rule.probability > 0 and fraction(self._seed, "fault", position, number) < rule.probability
