"""Lists of pages that a manifest names: a large batch has hundreds of thousands, so they are held packed.

A page takes some 45 bytes of memory so, most of them its hash, where an object of its own takes 255.
"""

import json
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from operator import eq
from types import GenericAlias
from typing import Any, Final, Protocol, TypeVar, cast, get_args, overload

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

__all__ = [
    "PACKED",
    "ListedPage",
    "PageList",
    "in_order",
    "pack_pages",
    "page_lists",
    "page_place",
    "page_rows",
]

_PAGES_AT_ONCE: Final = 1_000
_FASTEST: Final = 1


class ListedPage(Protocol):
    """A slotted dataclass of texts and numbers; ``page_num`` is None where the page has none."""

    __slots__: tuple[str, ...]

    @property
    def doc_id(self) -> str:
        """Its document."""

    @property
    def page_num(self) -> int | None:
        """Its number in the document."""


P = TypeVar("P", bound=ListedPage)


class PageList(Sequence[P]):
    """Pages of one kind in the order in which they were appended, equal to any sequence of the same pages.

    Going through them makes one page at a time. Those that were appended last are packed when they are
    1,000, and when the list is sent to another process.
    """

    __slots__ = ("_ends", "_kind", "_loose", "_packed")

    def __init__(self, kind: type[P], pages: Iterable[P] = ()) -> None:
        """Takes the class of the pages, whose fields are given in their order, and the first of them."""
        self._kind = kind
        self._packed: list[bytes] = []
        # How many pages there are up to the end of each packed piece.
        self._ends: list[int] = []
        self._loose: list[P] = []
        self.extend(pages)

    @property
    def kind(self) -> type[P]:
        """The class of the pages."""
        return self._kind

    def append(self, page: P) -> None:
        """Adds a page."""
        self._loose.append(page)
        if len(self._loose) == _PAGES_AT_ONCE:
            self._pack()

    def extend(self, pages: Iterable[P]) -> None:
        """Adds pages."""
        for page in pages:
            self.append(page)

    def __len__(self) -> int:
        return self._packed_pages + len(self._loose)

    def __iter__(self) -> Iterator[P]:
        for number in range(len(self._packed) + 1):
            yield from self._piece(number)

    @overload
    def __getitem__(self, index: int) -> P: ...

    @overload
    def __getitem__(self, index: slice) -> list[P]: ...

    def __getitem__(self, index: int | slice) -> P | list[P]:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return self._those([chosen])[0]
        return self._those(chosen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        if isinstance(other, PageList) and (self._kind, self._packed, self._loose) == (
            other._kind,
            other._packed,
            other._loose,
        ):
            return True
        return len(self) == len(other) and all(map(eq, self, other))

    # As Python does by itself for what compares, said because the linter wants it said.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PageList({self._kind.__name__}, {len(self)} pages)"

    def __getstate__(self) -> tuple[type[P], list[bytes], list[int]]:
        self._pack()
        # Copies, for a copy that is appended to.
        return self._kind, [*self._packed], [*self._ends]

    def __setstate__(self, state: tuple[type[P], list[bytes], list[int]]) -> None:
        self._kind, self._packed, self._ends = state
        self._loose = []

    @property
    def _packed_pages(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _pack(self) -> None:
        if not self._loose:
            return
        columns = [[getattr(page, name) for page in self._loose] for name in self._kind.__slots__]
        self._packed.append(zlib.compress(json.dumps(columns).encode(), _FASTEST))
        self._ends.append(self._packed_pages + len(self._loose))
        self._loose = []

    def _piece(self, number: int) -> Iterable[P]:
        """The pages of a packed piece; behind the last one, those that are not packed."""
        if number == len(self._packed):
            return self._loose
        return map(self._kind, *json.loads(zlib.decompress(self._packed[number])))

    def _those(self, places: Iterable[int]) -> list[P]:
        """The pages at these places; each piece is unpacked once where they are sorted."""
        found: list[P] = []
        for number, group in groupby(places, lambda place: bisect_right(self._ends, place)):
            first, pages = self._ends[number - 1] if number else 0, list(self._piece(number))
            found += [pages[place - first] for place in group]
        return found


@dataclass(frozen=True, slots=True)
class _Packed:
    """Has pydantic hold a sequence of pages as a PageList; its JSON is that of a list."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        (kind,) = get_args(source)
        pages = handler.generate_schema(GenericAlias(list, kind))

        def packed(value: object, validated: Callable[[object], Iterable[Any]]) -> PageList[Any]:
            is_packed = isinstance(value, PageList) and value.kind is kind
            return cast(PageList[Any], value) if is_packed else PageList(kind, validated(value))

        as_list = core_schema.plain_serializer_function_ser_schema(list, return_schema=pages)
        return core_schema.no_info_wrap_validator_function(packed, pages, serialization=as_list)


PACKED: Final = _Packed()
"""Annotates such a field."""


def page_lists(manifest: type[BaseModel]) -> Mapping[str, type[Any]]:
    """The fields of a manifest that are lists of pages, and the class of their pages."""
    fields = manifest.model_fields.items()
    return {name: get_args(field.annotation)[0] for name, field in fields if PACKED in field.metadata}


def pack_pages(kind: type[Any], items: Iterator[object]) -> object:
    """A list of pages as the field of a manifest is to have it, of the items of its JSON.

    Where some are no such pages, those alone: the manifest's own validation then tells of the field.
    """
    pages, adapter = PageList(kind), _adapter(kind)
    while some := list(islice(items, _PAGES_AT_ONCE)):
        try:
            pages.extend(adapter.validate_python(some))
        except ValidationError:
            return some
    return pages


def _adapter(kind: type[Any]) -> TypeAdapter[list[Any]]:
    of_kind: Any = GenericAlias(list, kind)
    return TypeAdapter(of_kind)


def in_order(pages: Sequence[P]) -> Iterable[P]:
    """The pages by doc_id and page_num, those without a number behind the others of their document.

    Lists of ours are in that order; only another one is sorted, which takes an object for each page.
    """
    if all(before <= after for before, after in pairwise(map(page_place, pages))):
        return pages
    return sorted(pages, key=page_place)


def page_rows(pages: Iterable[P]) -> Iterator[dict[str, Any]]:
    """Pages as rows: their fields by name. One is made at a time."""
    for page in pages:
        yield {name: getattr(page, name) for name in page.__slots__}


def page_place(page: ListedPage) -> tuple[str, bool, int]:
    """What pages are in order by."""
    return page.doc_id, page.page_num is None, page.page_num or 0
