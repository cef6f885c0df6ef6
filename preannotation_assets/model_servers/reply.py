"""What a model answered, as every kind of server's reply is read. Plain data."""

from dataclasses import dataclass, field

from preannotation_assets.contracts import LogprobSource

__all__ = ["ChatReply"]


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a server answered with status 200.

    ``done`` says that the answer came to an end, ``done_reason`` why: ``stop`` where the model ended it,
    ``length`` where a limit did. Durations are seconds, counts are tokens; each is None where the server
    left it out. ``token_lengths`` (code points) and ``token_logprobs`` are those of the content; None unless
    the tokens join to it, or to a text of which it is one part (``token_scores``). ``prompt_tokens`` includes
    cached ones (Ollama's since 0.30.1), ``cached_tokens`` are those that the server had read before;
    ``prompt_seconds`` and ``answer_seconds`` are for the tokens the model read and wrote.
    ``logprob_source`` is None where the log-probabilities are the model's own.
    """

    content: str = field(repr=False)
    done: bool
    done_reason: str | None
    prompt_tokens: int | None
    answer_tokens: int | None
    total_seconds: float | None
    load_seconds: float | None
    prompt_seconds: float | None
    answer_seconds: float | None
    queue_seconds: float | None
    token_lengths: tuple[int, ...] | None
    token_logprobs: tuple[float, ...] | None
    cached_tokens: int | None = None
    logprob_source: LogprobSource | None = None
