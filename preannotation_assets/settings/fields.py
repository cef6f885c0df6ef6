"""What there is to know of one setting besides its value: variables, what is expected, where it is shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["PREFIX", "Reading", "Setting", "settings_of"]

PREFIX: Final = "PREANNOTATION_"
"""How the variables of this package begin."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a setting is read, where that does not follow from its name and type.

    The first of the ``variables`` that is set counts. ``expected`` says what a text must be;
    ``default_shown`` stands in the table for a default that differs from machine to machine.
    """

    variables: tuple[str, ...] = ()
    expected: str = ""
    default_shown: str = ""
    is_seldom: bool = False
    may_hold_secret: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: the ``name`` in its ``group``, and how pydantic sees it."""

    group: str
    name: str
    field: FieldInfo

    @property
    def reading(self) -> Reading:
        """What its definition says of the reading."""
        return next((note for note in self.field.metadata if isinstance(note, Reading)), Reading())

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, the one that wins first."""
        return self.reading.variables or (f"{PREFIX}{self.name.upper()}",)

    @property
    def kind(self) -> object:
        """The type of a value that is set: ``float`` also where none is allowed, ``list``, ``dict``."""
        allowed = [kind for kind in get_args(self.field.annotation) if kind is not type(None)]
        origin = get_origin(self.field.annotation)
        if origin in (list, dict):
            return origin
        return allowed[0] if allowed else self.field.annotation

    @property
    def expected(self) -> str:
        """What a value must be, in words; empty where any text is good."""
        if self.reading.expected:
            return self.reading.expected
        if isinstance(self.kind, type) and issubclass(self.kind, StrEnum):
            return f"one of {', '.join(self.kind)}"
        if self.kind is bool:
            return "yes or no"
        if self.kind in (int, float):
            return f"a {'whole ' if self.kind is int else ''}number{self._bounds()}"
        return ""

    def _bounds(self) -> str:
        notes = self.field.metadata
        least = next((f"{note.ge:,}" for note in notes if isinstance(note, Ge)), "")
        above = next((f"{note.gt:,}" for note in notes if isinstance(note, Gt)), "")
        most = next((f"{note.le:,}" for note in notes if isinstance(note, Le)), "")
        if least and most:
            return f" from {least} to {most}"
        if above and most:
            return f" above {above}, up to {most}"
        return f" of at least {least}" if least else f" above {above}" if above else ""


def settings_of(groups: type[BaseModel]) -> Iterator[Setting]:
    """Every setting of a model whose fields are groups, in the order of the definitions."""
    for group, holder in groups.model_fields.items():
        if isinstance(holder.annotation, type) and issubclass(holder.annotation, BaseModel):
            for name, field in holder.annotation.model_fields.items():
                yield Setting(group, name, field)
