"""Estimates the tokens of texts whose prompts the server has counted, by kind of character."""

from collections.abc import Sequence
from dataclasses import dataclass

from preannotation_assets.contracts import CHUNKS
from preannotation_assets.extraction.token_learning import CountedPrompt
from preannotation_assets.extraction.tokens import tokens_by_kind
from preannotation_assets.lake import FetchedBytes, StoreLocation, open_store, read_table_as

__all__ = ["CountTokens", "CountedPart", "CountedText", "count_tokens"]


@dataclass(frozen=True, slots=True)
class CountedText:
    """Row ``row`` of a part of the chunks, or what it was split into; ``start`` and ``end`` are page offsets.

    ``prompt_tokens`` is the server's count of the whole prompt.
    """

    row: int
    start: int
    end: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class CountTokens:
    """Texts of one part of the chunks."""

    location: StoreLocation
    chunks_key: str
    texts: Sequence[CountedText]


@dataclass(frozen=True, slots=True)
class CountedPart:
    """The same texts, in their order, and what was fetched for them."""

    prompts: Sequence[CountedPrompt]
    fetched: FetchedBytes


def count_tokens(task: CountTokens) -> CountedPart:
    """Estimates each text by kind of character.

    Raises:
        StorageError: the lake cannot be read.
    """
    store = open_store(task.location)
    chunks = read_table_as(store, task.chunks_key, CHUNKS, ("start", "text"))
    starts, texts = chunks["start"], chunks["text"]
    prompts = []
    for counted in task.texts:
        begins, text = starts[counted.row].as_py(), texts[counted.row].as_py()
        by_kind = tokens_by_kind(text[counted.start - begins : counted.end - begins])
        prompts.append(CountedPrompt(by_kind, counted.prompt_tokens))
    return CountedPart(prompts, store.fetched)
