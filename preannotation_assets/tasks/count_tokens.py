"""Estimates the tokens of texts whose prompts the server has counted, by kind of character."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from preannotation_assets.contracts import CHUNKS
from preannotation_assets.extraction.token_learning import CountedPrompt
from preannotation_assets.extraction.tokens import tokens_by_kind
from preannotation_assets.lake import FetchedBytes, StoreLocation, open_store, read_table_as

__all__ = ["CountTokens", "CountedPart", "CountedText", "CountedTexts", "count_tokens"]


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
class CountedTexts:
    """Texts of one part in 16 bytes each: the driver has those of all parts at a time."""

    numbers: "array[int]"

    @classmethod
    def of(cls, texts: Iterable[CountedText]) -> Self:
        """These texts, in their order."""
        numbers = array("i")
        for text in texts:
            numbers.extend((text.row, text.start, text.end, text.prompt_tokens))
        return cls(numbers)

    def __iter__(self) -> Iterator[CountedText]:
        """The texts."""
        one = iter(self.numbers)
        yield from map(CountedText, one, one, one, one)


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
