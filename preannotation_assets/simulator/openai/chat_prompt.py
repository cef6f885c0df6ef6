"""The prompt a model sees: turns in the ChatML form, in tokens, and the keys of its whole blocks.

Special tokens in a turn's content count as what they say, in vLLM and llama.cpp alike: a page with
``<|im_end|>`` in it ends the turn there, and nothing behind it is answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from preannotation_assets.simulator.journal import prompt_hash
from preannotation_assets.simulator.requests import Message
from preannotation_assets.simulator.tokens import split_tokens

__all__ = ["END_TOKEN", "ChatPrompt", "block_keys", "cut_prompt", "render_chat"]

END_TOKEN = "<|im_end|>"  # noqa: S105
_ANSWER_TURN = "<|im_start|>assistant\n"


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """``tokens`` of the whole prompt, and ``question``: the last user turn as far as the model takes it."""

    tokens: tuple[str, ...]
    question: str
    sha256: str


def render_chat(messages: Sequence[Message], continues: bool) -> ChatPrompt:
    """Set the turns; with ``continues`` a last turn of the assistant is left open to be written on."""
    tokens: list[str] = []
    question = ""
    for message in messages:
        tokens.extend(_turn_tokens(message.role, message.content))
        if message.role == "user":
            question = message.content.partition(END_TOKEN)[0]
    if continues and messages and messages[-1].role == "assistant":
        tokens = tokens[:-2]
    else:
        tokens.extend(split_tokens(_ANSWER_TURN))
    return ChatPrompt(tuple(tokens), question, prompt_hash("".join(tokens)))


@lru_cache(maxsize=256)
def _turn_tokens(role: str, content: str) -> tuple[str, ...]:
    """The tokens of one turn; those of constant turns are counted once."""
    return (
        *split_tokens(f"<|im_start|>{role}\n"),
        *split_tokens(content),
        *split_tokens(f"{END_TOKEN}\n"),
    )


def cut_prompt(prompt: ChatPrompt, most: int) -> ChatPrompt:
    """The last ``most`` tokens of a prompt, and what is left of the question (``truncate_prompt_tokens``)."""
    kept = prompt.tokens[-most:]
    tail = len("".join(split_tokens(f"{END_TOKEN}\n{_ANSWER_TURN}")))
    left = max(sum(map(len, kept)) - tail, 0)
    return ChatPrompt(kept, prompt.question[-left:] if left else "", prompt.sha256)


def block_keys(tokens: tuple[str, ...], block_tokens: int, salt: str) -> tuple[int, ...]:
    """A key for each whole block, which depends on all tokens up to its end and on ``salt``."""
    keys = []
    key = hash(salt)
    for end in range(block_tokens, len(tokens) + 1, block_tokens):
        key = hash((key, tokens[end - block_tokens : end]))
        keys.append(key)
    return tuple(keys)
