"""Installs locked requirements into the environment of the Python that runs this.

`uv` does it in a quarter of pip's time, but reads none of pip's configuration. Where packages come from
is the user's decision and mostly told to pip, so pip's settings are handed to uv; where there is one that
uv has no word for, and where uv fails, pip does the work. Both check every hash of the lock.
"""

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["main", "uv_environment"]

# What the setting is called by uv, and what stands between two values there.
_FOR_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
_OF_NO_CONCERN = {
    "break-system-packages",
    "cache-dir",
    "config-file",
    "disable-pip-version-check",
    "no-cache-dir",
    "no-color",
    "no-compile",
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "user",
    "verbose",
}
# Later ones win, as in pip.
_SECTIONS = ("global", "install", ":env:")
_LOCKED = ("--no-deps", "--no-build-isolation", "--require-hashes", "--requirement")


def uv_environment(pip_settings: str) -> dict[str, str] | None:
    """Translate what ``pip config list`` prints into variables for uv; None when uv lacks a word for it."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in pip_settings.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found and key not in _OF_NO_CONCERN:
            found[section][key] = str(ast.literal_eval(value))
    settings = {key: value for section in _SECTIONS for key, value in found[section].items() if value}
    if not settings.keys() <= _FOR_UV.keys():
        return None
    translated = {_FOR_UV[key][0]: _FOR_UV[key][1].join(value.split()) for key, value in settings.items()}
    # As pip does: the best match of all indexes. The hashes say which file it has to be.
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **translated}


def _succeeds(command: list[str], environment: Mapping[str, str]) -> bool:
    return subprocess.run(command, env=dict(environment), check=False).returncode == 0  # noqa: S603


def _uv_installs(arguments: list[str]) -> bool:
    pip_settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    translated = uv_environment(pip_settings.stdout)
    uv = Path(sys.prefix) / "bin" / "uv"
    if translated is None or not uv.is_file():
        return False
    if "SSL_CERT_FILE" not in translated and ssl.create_default_context().cert_store_stats()["x509_ca"]:
        translated["UV_SYSTEM_CERTS"] = "true"
    command = [str(uv), "pip", "install", "--quiet", "--no-python-downloads", "--python", sys.executable]
    return _succeeds([*command, *arguments], {**translated, **os.environ})


def _pip_installs(arguments: list[str]) -> bool:
    sys.stderr.write("set-up: installing with pip, which takes 2 to 3 minutes\n")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    return _succeeds([*command, *arguments], os.environ)


def main(lock: str) -> int:
    """Install what the lock names; returns the exit code."""
    arguments = [*_LOCKED, lock]
    return 0 if _uv_installs(arguments) or _pip_installs(arguments) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
