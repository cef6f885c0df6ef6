"""A YAML file as plain data of which every place knows its line.

Every value is text as the file has it, so that a year, a date or "no" needs no quotation marks; only an
empty value and ``null`` are nothing. What must be a number or true or false is read as such by the model.
Nothing of what is said here quotes the file: an example may be a page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

__all__ = ["Location", "Source", "SourceError", "read_source", "repeated_keys"]

Location = tuple[int | str, ...]

_NULL: Final = "tag:yaml.org,2002:null"
_CURES: Final = (
    ("mapping values are not allowed", "put a text that has a colon in it into quotation marks"),
    (
        "cannot start any token",
        "indent with blanks, not tabs; quote what begins with a special character",
    ),
    ("undefined alias", "put a text that begins with * into quotation marks"),
    ("expected alphabetic or numeric", "put a text that begins with * or & into quotation marks"),
    ("tag", "put a text that begins with ! into quotation marks"),
    ("unhashable key", "put a text that begins with [ or { into quotation marks"),
    ("unexpected end of stream", "close the quotation marks"),
    ("stream end", "close the brackets, or put the text into quotation marks"),
    ("expected the node content", "close the brackets, or put the text into quotation marks"),
    ("but found another document", "keep one scheme a file, without a line of three hyphens"),
)
_ANY_CURE: Final = "look at indentation, quotation marks and colons there and in the line before"


class _TextLoader(yaml.SafeLoader):
    """Reads scalars as text; a scalar that cannot be what its tag says is an error with its line."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            raise yaml.constructor.ConstructorError(
                None, None, "a value is not what its tag says", node.start_mark
            ) from None


class SourceError(Exception):
    """The file is not YAML: the line (from 1), what is wrong and what to do about it."""

    def __init__(self, line: int, problem: str, cure: str) -> None:
        super().__init__(line, problem, cure)
        self.line = line
        self.problem = problem
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a file, and where they stand in it."""

    data: object
    root: yaml.Node | None

    def line_of(self, location: Location) -> int:
        """The line (from 1) of a value, or of the innermost thing around it that is there."""
        return _line_of(self.root, location)


def read_source(text: str) -> Source:
    """Reads one YAML document.

    Raises:
        SourceError: not YAML.
    """
    try:
        loader = _TextLoader(text)
        try:
            root = loader.get_single_node()
            data = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _marked(error) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SourceError(
            line, "a control character", f"remove it: character {error.position + 1} of the file"
        ) from None
    except RecursionError:
        raise SourceError(1, "the file is nested too deeply", "remove brackets") from None
    return Source(data, root)


def repeated_keys(source: Source) -> Iterator[Location]:
    """The places of keys that a mapping has a second time: YAML would forget the first."""
    seen: set[int] = set()
    open_nodes: list[tuple[Location, yaml.Node | None]] = [((), source.root)]
    while open_nodes:
        location, node = open_nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            open_nodes += [((*location, index), item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in keys:
                    yield (*location, name)
                keys.add(name)
                open_nodes.append(((*location, name), value))


def _marked(error: yaml.MarkedYAMLError) -> SourceError:
    said = error.problem or ""
    unclosed = "stream end" in said or "end of stream" in said
    marks = (error.context_mark, error.problem_mark)
    mark = next((mark for mark in (marks if unclosed else reversed(marks)) if mark), None)
    cure = next((cure for words, cure in _CURES if words in said), _ANY_CURE)
    return SourceError(mark.line + 1 if mark else 1, "not YAML", cure)


def _line_of(root: yaml.Node | None, location: Sequence[int | str]) -> int:
    if root is None:
        return 1
    line, node = root.start_mark.line, root
    for step in location:
        found = _step(node, step)
        if found is None:
            break
        line, node = found
    return line + 1


def _step(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    """Where the value at a key or an index stands, and its node; the last of several equal keys."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line, item
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return key.start_mark.line, value
    return None
