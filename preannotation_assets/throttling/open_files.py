"""How many files and connections a process may have open: two for each request in flight."""

import resource
from typing import Final

from preannotation_assets.errors import SettingsError

__all__ = ["allow_open_files"]

# What a process has open besides: libraries, the lake, Spark.
_OTHERS: Final = 256


def allow_open_files(requests: int) -> None:
    """Raises this process's limit of open files where so many requests in flight need it.

    Of a request the driver has a slot open, and a task a connection, beside which one that was left idle for
    another server may stay for a while; the driver has a connection a task. Many systems allow 1,024 files
    unless a process asks for more (``RLIMIT_NOFILE``).

    Raises:
        SettingsError: more than this process may ask for.
    """
    needed = 2 * requests + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise SettingsError(
            f"{requests} requests in flight need {needed} open files, but the limit is {hard}",
            "lower PREANNOTATION_MAX_IN_FLIGHT, or raise the hard limit (ulimit -H -n)",
        ) from None
