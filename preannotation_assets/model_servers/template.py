"""What a request asks, whichever server is asked: model, prompt, options, and the keys made of them. Pure."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.extraction.prompt import Prompt

__all__ = ["ModelOptions", "RequestTemplate", "request_key"]

# Hot enough for an unsure model to say something else (docs/answers.md).
_SECOND_PASS_TEMPERATURE: Final = 0.7
_SECOND_PASS_SEED: Final = 100
_VARIATION_TEMPERATURE: Final = 0.3


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options of every request of a run.

    ``context_tokens`` holds prompt and answer together, ``answer_tokens`` is the longest answer.
    Temperature 0 and a seed do not make a batched server repeat itself to the bit, which is why answers are
    stored.
    """

    context_tokens: int
    answer_tokens: int
    temperature: float = 0.0
    seed: int = 1

    def varied(self, variation: int) -> "ModelOptions":
        """As they are for 0; above it those of a retry of a request whose answer was unusable."""
        if not variation:
            return self
        return replace(
            self, seed=self.seed + variation, temperature=self.temperature + _VARIATION_TEMPERATURE
        )

    def for_second_pass(self) -> "ModelOptions":
        """The same at another temperature."""
        return replace(self, temperature=_SECOND_PASS_TEMPERATURE, seed=self.seed + _SECOND_PASS_SEED)


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """Everything of a request but the page; picklable, so that Spark tasks can be given it.

    ``digest`` names the weights, as the server tells it.
    """

    model: str
    digest: str
    prompt: Prompt
    options: ModelOptions

    @property
    def model_version(self) -> str:
        """What the published rows name besides the model: its weights and what it was asked."""
        return f"sha256:{self.digest}/{self.prompt.version}"

    @property
    def fingerprint(self) -> str:
        """Changes when a request with the same page would be another request.

        Answers are stored under keys made of it: whatever changes it is paid for anew. So the names in it
        are not those of the fields, and an option that is added later must be left out of it at the value
        that changes nothing.
        """
        content = json.dumps(
            {
                "digest": self.digest,
                "model": self.model,
                "prompt": self.prompt.fingerprint,
                "options": _fingerprinted(self.options),
            },
            sort_keys=True,
        )
        return hashlib.sha256(content.encode("utf-8")).hexdigest()

    def for_second_pass(self) -> "RequestTemplate":
        """The same question at another temperature, under another request key; it reloads nothing."""
        return replace(self, options=self.options.for_second_pass())


def _fingerprinted(options: ModelOptions) -> dict[str, object]:
    return {
        "num_ctx": options.context_tokens,
        "num_predict": options.answer_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
    }


def request_key(fingerprint: str, chunk_sha256: str) -> str:
    """Names a request by what it asks: the same key means the same question to the same model."""
    return hashlib.sha256(f"{fingerprint}:{chunk_sha256}".encode()).hexdigest()
