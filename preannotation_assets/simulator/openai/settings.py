"""What the stand-in for OpenAI-compatible servers is told before it starts.

Every setting is plain and frozen. Times are simulated seconds, rates are tokens a second.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator.character_parts import CharacterParts
from preannotation_assets.simulator.faults import FaultRule
from preannotation_assets.simulator.settings import HabitRates

__all__ = ["BatchTimes", "Flavour", "GrammarBackend", "OpenAiSettings", "ServedModel"]


class Flavour(StrEnum):
    """Whose habits the server has."""

    VLLM = "vllm"
    LLAMA = "llama"


class GrammarBackend(StrEnum):
    """What makes vLLM keep to a schema; ``AUTO`` is decided by the first request that has one."""

    AUTO = "auto"
    XGRAMMAR = "xgrammar"
    GUIDANCE = "guidance"


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """How long one step of all running sequences takes, in simulated seconds.

    A step with ``k`` sequences takes ``base_seconds + sequence_seconds * k``; above ``saturation``
    sequences it grows in proportion to ``k``, so that more of them make no more tokens a second. Reading
    a prompt adds ``1 / prefill_rate`` for each token. A schema that was not seen before is compiled in
    ``compile_seconds``, while the other requests go on.

    The defaults fit a dense 70B model on one GB10: 5 tokens a second alone, 695 in 256 sequences.
    """

    base_seconds: float = 0.2
    sequence_seconds: float = 0.000_66
    saturation: int = 256
    prefill_rate: float = 1_000.0
    compile_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for numbers that make no sense."""
        if self.base_seconds <= 0 or self.prefill_rate <= 0 or self.saturation < 1:
            raise SettingsError("a step without duration, or no rate", "set times and rates above 0")
        if self.sequence_seconds < 0 or self.compile_seconds < 0:
            raise SettingsError("a negative time", "set it to 0 or more")

    def step_seconds(self, sequences: int) -> float:
        """The time of one step in which ``sequences`` are written on."""
        together = self.base_seconds + self.sequence_seconds * min(sequences, self.saturation)
        return together * max(sequences / self.saturation, 1.0)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The one model of the server.

    ``names`` are those it is served under, the first its own; ``root`` is what it was started from,
    which says openly that it is a stand-in.
    ``size`` (bytes) and ``parameters`` are told by llama.cpp's server only.
    """

    names: tuple[str, ...] = ("llama-3.3-70b",)
    root: str = "stand-in/llama-3.3-70b"
    size: int = 42_520_413_916
    parameters: int = 70_553_706_496
    file_type: str = "stand-in"


@dataclass(frozen=True, slots=True)
class OpenAiSettings:
    """Everything the stand-in is configured by.

    ``speed`` divides every simulated time: 1 waits as long as the time model says, 0 does not wait.
    ``window`` is the most tokens of prompt and answer together (vLLM's max_model_len, llama.cpp's
    context of one slot). At most ``most_sequences`` run at once (max_num_seqs, or the slots of
    llama.cpp); the others queue, without limit unless ``most_queued`` is set. ``most_batched_tokens`` is
    how many tokens one step takes, prompts included. ``kv_tokens`` is the room for all sequences,
    ``block_tokens`` the unit of vLLM's prefix cache.

    ``endless_whitespace`` is the share of answers, from 0 to 1, that run on in line breaks where the
    grammar lets them; ``batch_variation`` the share that differs when other sequences run beside it.
    Every answer is ``fixed_answer`` where that is set, whatever is asked: cheap, and exact for tests.
    ``stream_interval`` is how many tokens an event of a stream holds. After its engine died, the server
    listens again ``restart_seconds`` (real) later, or never.
    """

    flavour: Flavour = Flavour.VLLM
    host: str = "127.0.0.1"
    port: int = 0
    version: str = "0.32.0"
    model: ServedModel = ServedModel()
    api_key: str | None = field(default=None, repr=False)
    window: int = 16_384
    most_sequences: int = 256
    most_queued: int | None = None
    most_batched_tokens: int = 8_192
    kv_tokens: int = 2_097_152
    block_tokens: int = 16
    has_prefix_cache: bool = True
    speed: float = 0.0
    times: BatchTimes = BatchTimes()
    backend: GrammarBackend = GrammarBackend.AUTO
    disables_whitespace: bool = False
    endless_whitespace: float = 0.0
    batch_variation: float = 0.0
    speculates: bool = False
    tells_cached_tokens: bool = False
    tells_request_metrics: bool = False
    has_metrics: bool = True
    fixed_answer: str | None = None
    stream_interval: int = 1
    restart_seconds: float | None = None
    seed: int = 0
    habits: HabitRates = field(default_factory=HabitRates)
    has_confidence_signal: bool = True
    character_parts: CharacterParts = CharacterParts.WHOLE
    faults: tuple[FaultRule, ...] = ()

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for numbers that make no sense."""
        if not self.model.names:
            raise SettingsError("the stand-in server has no model", "name at least one")
        least = (self.window, self.most_sequences, self.block_tokens, self.stream_interval)
        if min(least) < 1 or self.most_batched_tokens < self.most_sequences:
            raise SettingsError(
                "a limit below 1, or a step with fewer tokens than sequences", "raise the number"
            )
        if self.kv_tokens < self.window + self.block_tokens:
            raise SettingsError("the KV cache holds less than one window", "raise kv_tokens")
        if self.speed < 0:
            raise SettingsError("a negative speed", "set 0 (no waiting) or more")
        if self.disables_whitespace and self.backend is GrammarBackend.AUTO:
            raise SettingsError("whitespace is disabled with backend auto", "name the backend, as vLLM asks")
