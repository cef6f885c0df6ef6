"""Audits the locked packages: their licences, and known vulnerabilities (`make audit`).

Exit status: 0 where all is well, 1 where a licence or a vulnerability is found that must not be, 3 where
nothing was found but not every package could be looked up, because no vulnerability database can be reached.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

__all__ = [
    "DEFAULT_LOCKS",
    "Account",
    "audit_licences",
    "audit_vulnerabilities",
    "licence_of",
    "locked_names",
    "main",
    "satisfies",
]

HERE = Path(__file__).parent
# What the pipeline is installed from, and what it is worked on with. dev.lock holds all of runtime.lock.
DEFAULT_LOCKS = (HERE / "installer.lock", HERE / "java.lock", HERE / "dev.lock")
PIP_AUDIT = HERE.parent / ".venv-audit" / "bin" / "pip-audit"
FOUND, NOT_CHECKED = 1, 3

_LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==", re.MULTILINE)
_TOKEN = re.compile(r"\(|\)|[^\s()]+")
# Classifiers that name no licence.
_NO_LICENCES = {"osi approved", "dfsg approved"}
_LONGEST_NAME = 60


@dataclass
class Account:
    """What there is to tell; ``status`` is the exit status that follows from it."""

    lines: list[str] = field(default_factory=list)
    status: int = 0


def locked_names(lock: Path) -> list[str]:
    """The packages of a lock, each once."""
    return list(dict.fromkeys(_LOCKED.findall(lock.read_text("utf-8"))))


def licence_of(package: Distribution) -> list[str]:
    """What a package's metadata say its licence is; several where it names several without saying how."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return [expression]
    classifiers = [
        entry.split(" :: ")[-1]
        for entry in metadata.get_all("Classifier") or []
        if entry.startswith("License ::")
    ]
    named = [entry for entry in classifiers if entry.lower() not in _NO_LICENCES]
    first_line = (metadata.get("License") or "").strip().partition("\n")[0]
    return named or ([first_line] if first_line else [])


def satisfies(expression: str, is_allowed: Callable[[str], bool]) -> bool:
    """Whether an SPDX expression can be satisfied by allowed licences; AND binds closer than OR."""
    # "WITH" and its exception belong to the name before them.
    tokens = _TOKEN.findall(re.sub(r"\s+WITH\s+", "-with-", expression, flags=re.IGNORECASE))
    position = 0

    def alternatives() -> bool:
        nonlocal position
        held = conjunction()
        while position < len(tokens) and tokens[position].upper() == "OR":
            position += 1
            held = conjunction() or held
        return held

    def conjunction() -> bool:
        nonlocal position
        held = operand()
        while position < len(tokens) and tokens[position].upper() == "AND":
            position += 1
            held = operand() and held
        return held

    def operand() -> bool:
        nonlocal position
        word = tokens[position] if position < len(tokens) else ""
        position += 1
        if word != "(":
            return is_allowed(word)
        held = alternatives()
        position += 1
        return held

    held = alternatives()
    # What is no expression, such as a sentence, satisfies nothing.
    return held and position == len(tokens)


def audit_licences(
    names: Sequence[str], policy: dict[str, Any], find: Callable[[str], Distribution] = distribution
) -> Account:
    """Holds the licences of the installed ones of these packages against the policy (licences.toml)."""
    allowed, spelled, exceptions = set(policy["allowed"]), policy["spelled"], policy["exceptions"]

    def is_allowed(name: str) -> bool:
        return spelled.get(name.lower(), name) in allowed

    account, counts = Account(), Counter[str]()
    for name in dict.fromkeys(names):
        try:
            package = find(name)
        except PackageNotFoundError:
            # Locked for another platform or another version of Python.
            continue
        told = licence_of(package)
        shown = "; ".join(spelled.get(each.lower(), each)[:_LONGEST_NAME] for each in told)
        good = bool(told) and all(is_allowed(each) or satisfies(each, is_allowed) for each in told)
        if good or (name in exceptions and shown.startswith(exceptions[name])):
            counts[shown] += 1
            continue
        account.status = FOUND
        account.lines.append(
            f"licences: {name} {package.version} has {shown or 'none'}, which is not allowed"
        )
    listed = ", ".join(f"{licence} {count}" for licence, count in counts.most_common())
    account.lines.append(f"licences: {sum(counts.values())} packages are allowed: {listed}")
    return account


def audit_vulnerabilities(locks: Sequence[Path], look_up: Callable[[Path], str]) -> Account:
    """Tells the known vulnerabilities of locked packages; ``look_up`` gives pip-audit's JSON of a lock."""
    account = Account()
    checked: set[str] = set()
    unchecked: set[str] = set()
    for lock in locks:
        entries = _entries(look_up(lock))
        looked_up = {entry["name"] for entry in entries if "vulns" in entry}
        checked |= looked_up
        unchecked |= set(map(_normalized, locked_names(lock) if not entries else _skipped(entries)))
        told = [line for entry in entries for line in _findings(entry, lock)]
        account.lines += [line for line in told if line not in account.lines]
        account.status = FOUND if told else account.status
    total = len(checked | unchecked)
    if missed := len(unchecked - checked):
        account.lines.append(
            f"vulnerabilities: NOT CHECKED: {missed} of {total} packages could not be looked up;"
            " no vulnerability database can be reached from here, or it does not know them"
        )
        account.status = account.status or NOT_CHECKED
    account.lines.append(f"vulnerabilities: {len(checked)} of {total} packages looked up")
    return account


def _entries(document: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing where it could not work, and then prints no JSON."""
    try:
        entries: list[dict[str, Any]] = json.loads(document)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return []
    return entries


def _skipped(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    return (entry["name"] for entry in entries if "vulns" not in entry)


def _findings(entry: dict[str, Any], lock: Path) -> Iterator[str]:
    for found in entry.get("vulns", []):
        fixes = ", ".join(found.get("fix_versions") or [])
        cure = f"fixed in {fixes}" if fixes else "no fixed version"
        what = f"{entry['name']} {entry['version']}: {found['id']}"
        yield f"vulnerabilities: {what} ({cure}), locked in {lock.name}"


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ask_pip_audit(lock: Path) -> str:
    """pip-audit's JSON. Everything is locked with its hash, so that nothing is resolved or installed."""
    command = [str(PIP_AUDIT), "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    arguments = ["--disable-pip", "--require-hashes", "--requirement", str(lock)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Audits the locks, those of the project where none is named; returns the exit status."""
    locks = [Path(each) for each in arguments] or list(DEFAULT_LOCKS)
    names = [name for lock in locks for name in locked_names(lock)]
    policy = tomllib.loads((HERE / "licences.toml").read_text("utf-8"))
    licences = audit_licences(names, policy)
    vulnerabilities = audit_vulnerabilities(locks, _ask_pip_audit)
    for account in (licences, vulnerabilities):
        sys.stdout.write("".join(f"{line}\n" for line in account.lines))
    return licences.status or vulnerabilities.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
