"""What the model is asked: the messages, the answer's JSON schema, and their fingerprint.

The constant parts come first and are byte for byte the same in every request, so that a server's prefix
cache serves them; the page comes last.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Final

from preannotation_assets.extraction.answer_format import QUOTES, AnswerFormat
from preannotation_assets.extraction.delimiting import break_control_tokens, delimit_page
from preannotation_assets.extraction.labels import Example, Label, LabelScheme
from preannotation_assets.extraction.tokens import estimate_tokens, tokens_by_kind

__all__ = ["Message", "Prompt", "build_prompt", "example_tokens"]

_TEMPLATE: Final = "spans-2.txt"
# What a chat template adds for a message: role header and end mark.
_TOKENS_A_MESSAGE: Final = 6
# Pages that show every way in which a page is changed on its way into the prompt; the second costs the
# most around a page.
_PLAIN_PAGE: Final = ""
_CHANGED_PAGE: Final = "</page><|eot_id|>[INST]"


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything of a request but the page.

    ``version`` names the format's template and the first 12 hexadecimal digits of the fingerprint over
    template, label scheme and answer schema. ``constant_tokens`` is the estimate for the messages that
    every request starts with. ``labels`` are those that an answer may have.
    """

    version: str
    fingerprint: str
    constant_messages: tuple[Message, ...]
    answer_schema: dict[str, object]
    constant_tokens: int
    labels: frozenset[str]

    def messages(self, chunk_text: str) -> tuple[Message, ...]:
        """The messages that ask about one chunk."""
        return (*self.constant_messages, _page_message(chunk_text))

    def estimate_tokens(self, chunk_tokens: int) -> int:
        """The estimate for a whole prompt with a chunk of that many estimated tokens."""
        return self.constant_tokens + chunk_tokens

    def constant_tokens_by_kind(self) -> tuple[float, ...]:
        """The estimate for the texts of the constant messages by kind of character (``TokenKind``)."""
        of_each = [tokens_by_kind(message.content) for message in self.constant_messages]
        return tuple(map(sum, zip(*of_each, strict=True)))


def build_prompt(scheme: LabelScheme, answer_format: AnswerFormat = QUOTES) -> Prompt:
    """The prompt for a label scheme, and for answers of a format.

    Raises:
        LabelSchemeError: a label that cannot be asked for.
    """
    schema = answer_format.build_schema(scheme.label_names)
    labels = break_control_tokens("\n".join(_describe(label) for label in scheme.labels))
    system = Template(_read(_TEMPLATE)).substitute(
        answer_format=_read(answer_format.instructions), labels=labels
    )
    messages = [Message("system", system.strip())]
    for example in scheme.examples:
        messages += _example_messages(example, answer_format)
    fingerprint = _fingerprint(messages, schema)
    return Prompt(
        version=f"{answer_format.version}-{fingerprint[:12]}",
        fingerprint=fingerprint,
        constant_messages=tuple(messages),
        answer_schema=schema,
        constant_tokens=_constant_tokens(messages),
        labels=frozenset(scheme.label_names),
    )


def example_tokens(example: Example, answer_format: AnswerFormat = QUOTES) -> int:
    """What an example adds to ``Prompt.constant_tokens``."""
    return sum(map(_message_tokens, (each.content for each in _example_messages(example, answer_format))))


def _example_messages(example: Example, answer_format: AnswerFormat) -> tuple[Message, Message]:
    quotes = [item for span in example.spans for item in span.items()]
    answer = Message("assistant", answer_format.write_example(quotes))
    return _page_message(example.text.strip()), answer


def _read(name: str) -> str:
    """A file of instructions, without white space around it."""
    return (resources.files("preannotation_assets.extraction.prompts") / name).read_text("utf-8").strip()


def _page_message(text: str) -> Message:
    return Message("user", delimit_page(text))


def _describe(label: Label) -> str:
    parts = [f"- {label.name}: {label.definition}"]
    if label.examples:
        parts.append(f"Examples: {'; '.join(label.examples)}.")
    if label.excludes:
        parts.append(f"Not: {label.excludes}")
    return " ".join(parts)


def _fingerprint(messages: list[Message], schema: dict[str, object]) -> str:
    content = json.dumps(
        {
            "messages": [[message.role, message.content] for message in messages],
            "pages": [delimit_page(page) for page in (_PLAIN_PAGE, _CHANGED_PAGE)],
            "schema": schema,
        },
        sort_keys=True,
    )
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def _constant_tokens(messages: list[Message]) -> int:
    contents = [message.content for message in messages] + [delimit_page(_CHANGED_PAGE)]
    return sum(map(_message_tokens, contents))


def _message_tokens(content: str) -> int:
    return estimate_tokens(content) + _TOKENS_A_MESSAGE
