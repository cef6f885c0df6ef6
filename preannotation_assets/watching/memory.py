"""What the watching remembers, as the text that the sensor's cursor holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pydantic import TypeAdapter, ValidationError

from preannotation_assets.watching.watch import Watch

__all__ = ["Memory"]

_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """The watches, and what the last look at the warehouse was.

    ``probe`` is what the cheap look told, ``listed_at`` when the whole view was last read, in seconds since
    the Unix epoch. ``unusable`` are names in the view that no dataset can have.
    """

    watches: Mapping[str, Watch] = field(default_factory=lambda: MappingProxyType({}))
    unusable: tuple[str, ...] = ()
    probe: str = ""
    listed_at: float = 0.0

    @classmethod
    def read(cls, text: str | None) -> "Memory":
        """From a cursor; of one that is empty, was reset or is another version's nothing is remembered.

        Then each dataset is held against what is published, and asked for only where they differ.
        """
        try:
            stored = _STORED.validate_json(text or "")
        except ValidationError:
            return cls()
        return stored.memory if stored.version == _VERSION else cls()

    def write(self) -> str:
        """For the cursor."""
        return _STORED.dump_json(_Stored(_VERSION, self)).decode()


@dataclass(frozen=True, slots=True)
class _Stored:
    version: int
    memory: Memory


_STORED: Final = TypeAdapter(_Stored)
