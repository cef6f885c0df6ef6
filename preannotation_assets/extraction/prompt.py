"""What the model is asked: the messages, the answer's JSON schema, and their fingerprint.

The constant parts come first and are byte for byte the same in every request, so that Ollama's prefix
cache serves them; the page comes last.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Final

from preannotation_assets.extraction.labels import MOST_QUOTE_CHARACTERS, Label, LabelScheme
from preannotation_assets.extraction.tokens import estimate_tokens

__all__ = ["Message", "Prompt", "build_prompt"]

_TEMPLATE: Final = "spans-1"
# Ollama honours maxLength and maxItems only up to 2000 and answers 400 to exactly 2000.
_MAX_SPANS: Final = 800
# What a chat template adds for a message: role header and end mark.
_TOKENS_A_MESSAGE: Final = 6


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything of a request but the page.

    ``version`` names the template and the first 12 hexadecimal digits of the fingerprint over
    template, label scheme and answer schema. ``constant_tokens`` is the estimate for the messages that
    every request starts with.
    """

    version: str
    fingerprint: str
    constant_messages: tuple[Message, ...]
    answer_schema: dict[str, object]
    constant_tokens: int

    def messages(self, chunk_text: str) -> tuple[Message, ...]:
        """The messages that ask about one chunk."""
        return (*self.constant_messages, _page_message(chunk_text))

    def estimate_tokens(self, chunk_tokens: int) -> int:
        """The estimate for a whole prompt with a chunk of that many estimated tokens."""
        return self.constant_tokens + chunk_tokens


def build_prompt(scheme: LabelScheme) -> Prompt:
    """The prompt for a label scheme."""
    template = (resources.files("preannotation_assets.extraction.prompts") / f"{_TEMPLATE}.txt").read_text(
        "utf-8"
    )
    labels = "\n".join(_describe(label) for label in scheme.labels)
    messages = [Message("system", Template(template).substitute(labels=labels).strip())]
    for example in scheme.examples:
        messages.append(_page_message(example.text.strip()))
        messages.append(Message("assistant", json.dumps({"spans": list(example.spans)}, ensure_ascii=False)))
    schema = _answer_schema(scheme.label_names)
    fingerprint = _fingerprint(messages, schema)
    return Prompt(
        version=f"{_TEMPLATE}-{fingerprint[:12]}",
        fingerprint=fingerprint,
        constant_messages=tuple(messages),
        answer_schema=schema,
        constant_tokens=_constant_tokens(messages),
    )


def _page_message(text: str) -> Message:
    return Message("user", f"<page>\n{text}\n</page>")


def _describe(label: Label) -> str:
    parts = [f"- {label.name}: {label.definition}"]
    if label.examples:
        parts.append(f"Examples: {'; '.join(label.examples)}.")
    if label.excludes:
        parts.append(f"Not: {label.excludes}")
    return " ".join(parts)


def _answer_schema(labels: tuple[str, ...]) -> dict[str, object]:
    """One-key objects in reading order: no key order for Ollama's jinja path to change."""
    quote = {"type": "string", "minLength": 1, "maxLength": MOST_QUOTE_CHARACTERS}
    span = {
        "anyOf": [
            {
                "type": "object",
                "properties": {label: quote},
                "required": [label],
                "additionalProperties": False,
            }
            for label in labels
        ]
    }
    return {
        "type": "object",
        "properties": {"spans": {"type": "array", "maxItems": _MAX_SPANS, "items": span}},
        "required": ["spans"],
        "additionalProperties": False,
    }


def _fingerprint(messages: list[Message], schema: dict[str, object]) -> str:
    content = json.dumps(
        {
            "messages": [[message.role, message.content] for message in messages],
            "page": _page_message("").content,
            "schema": schema,
        },
        sort_keys=True,
    )
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def _constant_tokens(messages: list[Message]) -> int:
    contents = [message.content for message in messages] + [_page_message("").content]
    return sum(estimate_tokens(content) + _TOKENS_A_MESSAGE for content in contents)
