"""A label scheme's file with other examples and the next version; all else stays as somebody wrote it."""

from collections.abc import Mapping, Sequence
from typing import Final

import yaml

from preannotation_assets.errors import LabelSchemeError

from .models import Example, LabelScheme
from .parsing import check_label_scheme

__all__ = ["rewrite_scheme"]

_EXAMPLES: Final = "examples"
_VERSION: Final = "version"
# YAML's reader makes line breaks of them.
_OTHER_BREAKS: Final = frozenset("\r\x85\u2028\u2029")


def rewrite_scheme(source: str, scheme: LabelScheme, examples: Sequence[Example]) -> str:
    """The text of the next version of a scheme, with these examples in the place of its own.

    ``source`` is the text that ``scheme`` was read from. Its comments stay, but for those among its examples;
    where the examples cannot be cut out of it, as where other values refer to anchors in them, the whole
    scheme is written anew, without comments.

    Raises:
        LabelSchemeError: it cannot be written down in YAML.
    """
    wanted = scheme.model_copy(update={"version": scheme.version + 1, "examples": tuple(examples)})
    block = _block(wanted)
    for text in (_replaced(source, wanted.version, block), _whole(wanted, block)):
        if text is not None and check_label_scheme(text, "").scheme == wanted:
            return text
    raise LabelSchemeError(
        "the label scheme cannot be written down with other examples", "look for lone surrogates in its texts"
    )


def _replaced(source: str, version: int, block: str) -> str | None:
    """The source with version and examples replaced where they stand; None where it is not plain enough."""
    root = yaml.compose(source, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    cuts: dict[tuple[int, int], str] = {}
    has_examples = False
    for key, value in root.value:
        if key.value == _VERSION:
            cuts[value.start_mark.index, value.end_mark.index] = str(version)
        elif key.value == _EXAMPLES:
            has_examples = True
            end = _end_of_content(source, key.start_mark.index, value.end_mark.index)
            cuts[key.start_mark.index, end] = block
    if not has_examples:
        cuts[len(source), len(source)] = block if source.endswith("\n") else f"\n{block}"
    return _with_cuts(source, cuts)


def _end_of_content(source: str, start: int, end: int) -> int:
    """Where a value ends with its line; YAML sees the end at the next key, behind that one's comments."""
    lines = source[start:end].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
        end -= len(lines.pop())
    is_within_line = not source.endswith("\n", start, end) and source.startswith("\n", end)
    return end + 1 if is_within_line else end


def _with_cuts(source: str, cuts: Mapping[tuple[int, int], str]) -> str:
    parts, reached = [], 0
    for (start, end), text in sorted(cuts.items()):
        parts += [source[reached:start], text]
        reached = end
    return "".join([*parts, source[reached:]])


def _whole(scheme: LabelScheme, block: str) -> str:
    data = scheme.model_dump(mode="json", exclude={_EXAMPLES}, exclude_defaults=True)
    return _dumped(data) + block


def _block(scheme: LabelScheme) -> str:
    """The key of the examples and the examples; ends with a line break."""
    if not scheme.examples:
        return f"{_EXAMPLES}: []\n"
    return _dumped({_EXAMPLES: [_written(example) for example in scheme.examples]})


def _written(example: Example) -> dict[str, object]:
    fields: dict[str, object] = {
        "text": _Page(example.text),
        "spans": [dict(span) for span in example.spans],
    }
    if example.source is not None:
        fields["source"] = example.source.model_dump()
    return fields


class _Page(str):
    """A text that is shown line by line, where YAML can."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes every page as a block, every other text in one line, and no anchors."""

    def ignore_aliases(self, _: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Lists stand further to the right than their keys, as in the scheme of the package."""
        super().increase_indent(flow, indentless=False)


def _represent_page(dumper: yaml.SafeDumper, page: _Page) -> yaml.ScalarNode:
    style = '"' if _OTHER_BREAKS & set(page) else "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(page), style)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if len(text.splitlines()) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(_Page, _represent_page)
_Dumper.add_representer(str, _represent_text)


def _dumped(data: object) -> str:
    written: str = yaml.dump(
        data,
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
        width=float("inf"),
    )
    return written
