"""What the stand-in server is told before it starts: models, slots, time, habits, faults.

Every setting is plain and frozen. Times are seconds, rates are tokens a second.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import ClassVar

from preannotation_assets.errors import SettingsError
from preannotation_assets.simulator.character_parts import CharacterParts
from preannotation_assets.simulator.faults import FaultRule
from preannotation_assets.simulator.names import parse_name

__all__ = ["Ability", "AccessCredentials", "HabitRates", "SimulatedModel", "SimulatorSettings", "TimeModel"]

RULES_VERSION = "stand-in rules 1"
_PREAMBLE = re.compile(r"\s*(```(json)?\s*)?")


@dataclass(frozen=True, slots=True)
class HabitRates:
    """How often, from 0 to 1, the answers do what language models do to what they read.

    ``repair`` is per repairable quote, the others per answer: ``omit`` leaves it out, ``repeat`` gives
    it twice, ``shorten`` drops the last word, ``mislabel`` gives it another label, ``invent`` adds an
    entity that is not in the text. ``misjudge`` changes no answer: it is how often a right one scores as
    if it were doubtful and a wrong one as if it were right. ``verbatim`` is how often a quote is given with
    its line breaks, and with the quotation marks around it and the word before them.
    """

    repair: float = 0.3
    omit: float = 0.03
    repeat: float = 0.02
    shorten: float = 0.01
    mislabel: float = 0.01
    invent: float = 0.015
    misjudge: float = 0.0
    verbatim: float = 0.0

    NONE: ClassVar["HabitRates"]


HabitRates.NONE = HabitRates(repair=0, omit=0, repeat=0, shorten=0, mislabel=0, invent=0)


@dataclass(frozen=True, slots=True)
class Ability:
    """What one model makes of pages, where models differ: another one makes other mistakes.

    ``easy`` are its habits on most pages, ``hard`` those on the share ``hard_pages``; which pages are hard
    follows from their text and is the same for every model. ``seed`` is its own. ``information`` is how far
    its log-probabilities tell right quotes from wrong ones, as the area under the ROC curve, from 0.5 to
    below 1; without it they follow the quality of each answer, as those of other models do.
    """

    easy: HabitRates
    hard: HabitRates
    hard_pages: float
    seed: int
    information: float | None = None

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for shares that are none."""
        if not 0 <= self.hard_pages <= 1:
            raise SettingsError("a share of hard pages that is none", "set it from 0 to 1")
        if self.information is not None and not 0.5 <= self.information < 1:  # noqa: PLR2004
            raise SettingsError("an information that is no area under a curve", "set it from 0.5 to below 1")


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model of the list in ``/api/tags``.

    ``context_length`` is what it was trained for, in tokens: a longer num_ctx is cut to it. ``weights`` names
    the blob; models of one blob share a runner, and without it a model has its own. ``is_cloud`` makes the
    server answer as Ollama does for a model that runs on ollama.com where OLLAMA_NO_CLOUD is set: 403.

    ``is_jinja`` says that the model has no Go template, so that its chats take llama-server's own path: keys
    sorted, no end at 31 equal tokens, and a ``preamble`` allowed: blanks and maybe a ```json fence before the
    answer, which are left out of its text, not of its log-probabilities. ``has_sliding_window`` says that a
    prompt's prefix is cached by checkpoints near its end. ``writes_blanks`` sets answers over many lines.
    ``ability`` is what it makes of pages, where that is not what the settings say for all models.
    """

    name: str
    context_length: int = 131_072
    embedding_length: int = 8_192
    size: int = 42_520_413_916
    size_vram: int = 42_520_413_916
    parameter_size: str = "70.6B"
    quantization: str = "Q4_K_M"
    is_thinking: bool = False
    is_cloud: bool = False
    weights: str = ""
    is_jinja: bool = False
    preamble: str = ""
    has_sliding_window: bool = False
    writes_blanks: bool = False
    ability: Ability | None = None

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for what no model can have."""
        if parse_name(self.name) is None:
            raise SettingsError("the stand-in server has a model whose name Ollama would refuse", "rename it")
        if self.preamble and not self.is_jinja:
            raise SettingsError("a preamble without is_jinja", "Ollama's other path has no room for one")
        if not _PREAMBLE.fullmatch(self.preamble):
            raise SettingsError("a preamble of more than blanks and a ```json fence", "shorten it")

    @property
    def shown_name(self) -> str:
        """The name as Ollama's lists show it, with its tag."""
        name = parse_name(self.name)
        return name.shortest if name else self.name

    @property
    def runner_name(self) -> str:
        """What is loaded for it: its blob, or without one itself."""
        return f"blob {self.weights}" if self.weights else self.shown_name

    def digest(self, revision: int = 0) -> str:
        """64 hex digits made from the rules' version and the name, never from a model's manifest.

        ``revision`` counts the digest changes since the start. What is hashed is no manifest, so that
        no digest of a real model can be equal.
        """
        source = f"{RULES_VERSION}\n{self.name}\n{revision}"
        return hashlib.sha256(source.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TimeModel:
    """How long things take at speed 1, in seconds and tokens a second.

    One slot alone decodes at ``decode_rate``; with k slots busy each decodes at
    ``decode_rate / (1 + slowdown_per_slot * (k - 1))``. While another slot reads a prompt, the rate is
    multiplied by ``decode_share_while_reading``: 1 where reading takes nothing from writing, far less on a
    CPU.
    """

    load_seconds: float = 20.0
    prefill_rate: float = 1_000.0
    decode_rate: float = 25.0
    slowdown_per_slot: float = 0.06
    decode_share_while_reading: float = 1.0

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for numbers that make no sense."""
        if self.prefill_rate <= 0 or self.decode_rate <= 0:
            raise SettingsError("a token rate is not above 0", "set rates above 0 tokens a second")
        if self.load_seconds < 0 or self.slowdown_per_slot < 0:
            raise SettingsError("a negative time or slowdown", "set it to 0 or more")
        if not 0 < self.decode_share_while_reading <= 1:
            raise SettingsError("a share of decoding that is none", "set it above 0, up to 1")


@dataclass(frozen=True, slots=True)
class AccessCredentials:
    """The Cloudflare Access service token that a request must carry."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Everything the stand-in server is configured by.

    ``speed`` divides every simulated time: 1 waits as long as the time model says, 10 a tenth of it,
    0 does not wait at all. ``keep_alive`` is in real seconds at any speed. ``slots`` is Ollama's
    OLLAMA_NUM_PARALLEL, ``queue_limit`` its OLLAMA_MAX_QUEUE, ``default_context`` the num_ctx of a
    request that names none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    version: str = "0.33.0"
    models: tuple[SimulatedModel, ...] = (SimulatedModel("llama3.3:70b"),)
    slots: int = 1
    loaded_models_limit: int = 1
    queue_limit: int = 512
    default_context: int = 4_096
    keep_alive: float = 300.0
    speed: float = 0.0
    time: TimeModel = TimeModel()
    seed: int = 0
    habits: HabitRates = HabitRates()
    has_confidence_signal: bool = True
    character_parts: CharacterParts = CharacterParts.WHOLE
    faults: tuple[FaultRule, ...] = ()
    access: AccessCredentials | None = None

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for numbers that make no sense."""
        if not self.models:
            raise SettingsError("the stand-in server has no model", "name at least one")
        if min(self.slots, self.queue_limit, self.loaded_models_limit) < 1:
            raise SettingsError("slots, the queue and loaded models need at least 1", "raise the number")
        if self.speed < 0:
            raise SettingsError("a negative speed", "set 0 (no waiting) or more")
