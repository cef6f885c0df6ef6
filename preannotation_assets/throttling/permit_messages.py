"""What driver and tasks say to each other about permits.

The messages are JSON, one a line, over one connection a task:

- task: ``{"secret": ...}``, once; driver: ``{"known": ...}``
- task: ``{"want": true}`` for each permit, of which any number may be out
- driver, to each wish in its turn: ``{"number": ..., "endpoint": ..., "warm_up": ...}``, or ``{"stop": ...}``
  when no request is to be sent any more; with ``warm_up`` true the constant part of the prompt is to be read
  first, under the same permit. Permits of a connection are numbered
- task: ``{"number": ..., "ended": ..., "failure_signal": ...}`` gives a permit back the moment the request
  has ended; says whether the server is sure to have noticed, and what is wrong with it
- driver, behind a permit or a report: ``{"endpoint": ..., "pass_on": ...}`` says, where that has changed,
  whether the task may use permits of the endpoint again without asking. Then ``"next"`` in the message of an
  end that is certain is the number, below 0, under which the permit is the next request's; the wish that
  this met stands for another
- task: ``{"leaving": true}``, where it has no permit and wants none any more; one on its way to it is unused
- task: ``{"number": ..., "unused": true}`` gives a permit back under which nothing was sent, so that there is
  no report: nobody waited for it any more
- task: ``{"number": ..., "report": {...}}`` says afterwards what became of the request
"""

import json
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.contracts import AttemptOutcome

__all__ = [
    "LINE_LIMIT",
    "LONGEST_HELLO",
    "FailureSignal",
    "Permit",
    "PermitAddress",
    "PermitReport",
    "encode_line",
    "message_fields",
]

LINE_LIMIT: Final = 64 * 1024
"""The longest message in bytes."""

LONGEST_HELLO: Final = 256
"""The longest first message in bytes: nothing else is read of whoever has not said the secret."""

# Of a prompt, in the time that one is written.
_TOKENS_READ_TO_A_TOKEN: Final = 40.0


@dataclass(frozen=True, slots=True)
class PermitAddress:
    """Where a task finds the permit server of its run. The secret is made anew for every run."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to have one request in flight at ``endpoint``; ``number`` is that of its task's connection.

    With ``warm_up`` a request that reads the constant part of the prompt comes before the one about a text.
    """

    endpoint: str
    warm_up: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class PermitReport:
    """What became of a request.

    ``available`` says whether the endpoint served it, None where a ``FailureSignal`` has said so; ``reason``
    is a code; times are seconds, ``started_at`` those since the Unix epoch; tokens are those the model
    read and wrote, whether or not the answer counts. ``done_tokens`` is the estimate of the text that
    need not be asked about any more, ``parts`` how many requests are made instead of one that was split,
    ``added_tokens`` the estimate of what is asked twice for that, because parts overlap. ``names_nothing``
    says that it was answered, and that the answer is empty. Of a warm-up before it there are its own seconds
    from sending to the last byte, and the server's count of the tokens that it read and the seconds for that.
    """

    outcome: AttemptOutcome
    available: bool | None = None
    reason: str | None = None
    latency_seconds: float | None = None
    queue_seconds: float | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    done_tokens: int = 0
    parts: int = 0
    names_nothing: bool = False
    added_tokens: int = 0
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
    warm_up_seconds: float | None = None
    warm_up_prompt_tokens: int | None = None
    warm_up_prompt_seconds: float | None = None

    @property
    def work(self) -> float:
        """What the server did for it: tokens written, and those of the text read; 1 where none are told.

        The text counts with the attempt after which it need not be asked about (``done_tokens``). One after
        which it is asked about again has read it too, and counts as what it wrote.
        The instructions before the text are in the server's prefix cache. Counted with each request they
        would make short answers look like much work, and the short ones come back first.
        """
        if self.answer_tokens is None:
            return 1.0
        return self.answer_tokens + self.done_tokens / _TOKENS_READ_TO_A_TOKEN


@dataclass(frozen=True, slots=True)
class FailureSignal:
    """Why no further request should follow at once: the endpoint did not serve the last one.

    ``overloaded`` says whether it was refused for load, ``retry_after`` is seconds. With a
    ``stop_message`` nobody is to ask anything any more.
    """

    overloaded: bool = False
    retry_after: float | None = None
    stop_message: str | None = None


def message_fields(message: "PermitReport | FailureSignal | Permit") -> dict[str, object]:
    """The fields of a message that are known; ``dataclasses.asdict`` costs ten times as much."""
    return {name: value for name in message.__slots__ if (value := getattr(message, name)) is not None}


def encode_line(message: dict[str, object]) -> bytes:
    """One message on the wire."""
    return json.dumps(message).encode() + b"\n"
