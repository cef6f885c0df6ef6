"""Which code this process runs, as one short hash: driver and executors must run the same.

The version of a stage knows the driver's code only; what another release wrote under it would be taken for
its own for ever.
"""

import functools
import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

__all__ = ["package_code"]

_DIGITS: Final = 16


@functools.cache
def package_code() -> str:
    """16 hexadecimal digits over every Python file of the package, also where it is in a zip file."""
    digest = hashlib.sha256()
    for name, file in sorted(_sources(resources.files("preannotation_assets"), "")):
        digest.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def _sources(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        name = f"{above}{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, f"{name}/")
        elif name.endswith(".py"):
            yield name, entry
