"""The recipe of docs/argilla-loader.md, as it stands there."""

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["recipe_source", "text_to_show"]

_DOCUMENT = Path(__file__).parents[2] / "docs" / "argilla-loader.md"
_NEEDED = {"html", "re", "unicodedata", "OUTSIDE_OF_THE_BASIC_PLANE", "SHIFTING", "SHOWN", "text_to_show"}


def recipe_source() -> str:
    """All its code."""
    return "".join(re.findall(r"```python\n(.*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL))


def text_to_show(text: str) -> str:
    """Its function of this name; the rest needs Argilla's client."""
    return _text_to_show()(text)


@cache
def _text_to_show() -> Callable[[str], str]:
    module = ast.parse(recipe_source())
    module.body = [node for node in module.body if _NEEDED & _names(node)]
    found: dict[str, Any] = {}
    exec(compile(module, str(_DOCUMENT), "exec"), found)
    function: Callable[[str], str] = found["text_to_show"]
    return function


def _names(node: ast.stmt) -> set[str]:
    """What a statement of a module defines."""
    if isinstance(node, ast.Import):
        return {name.name for name in node.names}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {node.name} if isinstance(node, ast.FunctionDef) else set()
