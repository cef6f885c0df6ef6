"""What driver and tasks say to each other about permits.

The messages are JSON, one a line:

- task: ``{"secret": ...}``, once; then ``{"want": true}`` for each permit
- driver: ``{"endpoint": ...}``, or ``{"stop": ...}`` when no request is to be sent any more
- task: ``{"ended": ..., "failure_signal": ...}`` gives the permit back the moment the request has ended; says
  whether the server is sure to have noticed, and what is wrong with it
- task: ``{"report": {...}}`` says afterwards what became of the request
"""

import json
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.contracts import AttemptOutcome

__all__ = ["LINE_LIMIT", "FailureSignal", "PermitAddress", "PermitReport", "encode_line"]

LINE_LIMIT: Final = 64 * 1024
"""The longest message in bytes."""


@dataclass(frozen=True, slots=True)
class PermitAddress:
    """Where a task finds the permit server of its run. The secret is made anew for every run."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PermitReport:
    """What became of a request.

    ``available`` says whether the endpoint served it, None where a ``FailureSignal`` has said so; ``reason``
    is a code; times are seconds, ``started_at`` those since the Unix epoch; tokens are those the model
    read and wrote, whether or not the answer counts. ``done_tokens`` is the estimate of the text that
    need not be asked about any more, ``parts`` how many requests are made instead of one that was split.
    """

    outcome: AttemptOutcome
    available: bool | None
    reason: str | None = None
    latency_seconds: float | None = None
    queue_seconds: float | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    done_tokens: int = 0
    parts: int = 0
    request_key: str | None = None
    task: int | None = None
    attempt: int | None = None
    status: int | None = None
    started_at: float | None = None
    load_seconds: float | None = None
    prompt_seconds: float | None = None
    answer_seconds: float | None = None
    estimated_prompt_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class FailureSignal:
    """Why no further request should follow at once: the endpoint did not serve the last one.

    ``overloaded`` says whether it was refused for load, ``retry_after`` is seconds. With a
    ``stop_message`` nobody is to ask anything any more.
    """

    overloaded: bool = False
    retry_after: float | None = None
    stop_message: str | None = None


def encode_line(message: dict[str, object]) -> bytes:
    """One message on the wire."""
    return json.dumps(message).encode() + b"\n"
