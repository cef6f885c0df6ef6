"""Files of this machine that hold page text: their owner's alone, whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replaced"]


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Lends an empty file of mode 0600, which takes the place of the file there once the block is through.

    Raises:
        OSError: it cannot be made there, or what is there is no plain file: a folder, a device, a link.
    """
    # /dev/null would be replaced as well, for all of the machine.
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise FileExistsError(path)
    descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
