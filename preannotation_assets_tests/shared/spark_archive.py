"""Spark's classes as Java keeps them once they are loaded and checked: with them its JVM starts sooner.

``python spark_archive.py`` makes the file of the environment that it runs in, unless it is there and newer
than what is installed. Without it, and with another Java than the one that made it, all is loaded as ever.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["VARIABLE", "options_of_archive"]

VARIABLE: Final = "SPARK_SUBMIT_OPTS"
"""What Spark's launcher reads options for the driver's JVM from, beside those of its configuration."""

_ARCHIVE: Final = Path(sys.prefix) / "spark.jsa"
_INSTALLED: Final = Path(sys.prefix) / "set-up-done"
# Java would tell on standard output why it takes no archive, or leaves a class out of one.
_SILENTLY: Final = "-Xlog:disable -Xlog:all=error:stderr"
_SECONDS: Final = 300.0
# Java writes the archive when it ends, which is when nobody can write to its standard input any more.
_JOB: Final = """
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks
session = SparkResource(master="local[2]").spark_session
java = session.sparkContext._gateway.proc
def double(number): return 2 * number
assert run_tasks(session, [1, 2], double) == [2, 4]
session.stop()
java.stdin.close()
java.wait()
"""


def options_of_archive() -> str:
    """The options that have a JVM use the archive; none where there is none."""
    return f"{_SILENTLY} -XX:SharedArchiveFile={_ARCHIVE}" if _ARCHIVE.exists() else ""


def _make_archive() -> None:
    draft = _ARCHIVE.with_suffix(".draft")
    options = f"{_SILENTLY} -XX:ArchiveClassesAtExit={draft}"
    subprocess.run(
        [sys.executable, "-c", _JOB], env={**os.environ, VARIABLE: options}, timeout=_SECONDS, check=True
    )
    draft.replace(_ARCHIVE)


if __name__ == "__main__":
    if not _ARCHIVE.exists() or _ARCHIVE.stat().st_mtime < _INSTALLED.stat().st_mtime:
        _make_archive()
