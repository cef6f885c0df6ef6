"""Who may open what lies in a folder: the working data hold pages, so they are their owner's alone."""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["OPEN_TO_OTHERS", "OWN", "close_work_area"]

OWN: Final = 0o700
"""Rights of folders that only their owner may enter."""

OPEN_TO_OTHERS: Final = 0o777
"""Rights of folders that all may enter whom the umask lets."""

_OTHERS: Final = 0o007
_log = logging.getLogger(__name__)


def close_work_area(area: Path) -> None:
    """Makes a work area its owner's alone if everybody may enter it, as in lakes of former releases.

    One that a group alone may enter was given to that group by somebody, and stays. One of another user is
    named in a warning: only he can close it.

    Raises:
        OSError: it cannot be looked at.
    """
    with suppress(FileNotFoundError):
        status = area.stat()
        if not status.st_mode & _OTHERS:
            return
        if status.st_uid == os.getuid():
            area.chmod(stat.S_IMODE(status.st_mode) & ~0o077)
        else:
            _log.warning("every user of this machine may read the pages in %s: chmod it to 700", area)
