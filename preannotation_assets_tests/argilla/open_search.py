"""OpenSearch from its jars (`make set-up-opensearch`), with what a distribution adds to them.

A distribution has the modules in folders, each with a descriptor and the rights of its code. Ours are of
two: the one for HTTP, and the one for scripts. JNA is kept from loading its native half: what it would do
is refuse to be started by root, and CI is root.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["serve_open_search"]


@dataclass(frozen=True, slots=True)
class _Module:
    """A plugin: its class, its jars, and what its code may do beyond what all may."""

    class_name: str
    jars: re.Pattern[str]
    rights: str


_MODULES: Final[Mapping[str, _Module]] = {
    "transport-netty4": _Module(
        "org.opensearch.transport.Netty4Plugin",
        re.compile("transport-netty4|netty-"),
        """
        permission java.lang.RuntimePermission "getClassLoader";
        permission java.lang.RuntimePermission "accessDeclaredMembers";
        permission java.lang.reflect.ReflectPermission "suppressAccessChecks";
        permission java.net.SocketPermission "*", "accept,connect,resolve,listen";
        permission java.util.PropertyPermission "*", "read,write";
        """,
    ),
    "lang-painless": _Module(
        "org.opensearch.painless.PainlessPlugin",
        re.compile("lang-painless|opensearch-scripting-painless|antlr4|asm-"),
        """
        permission java.lang.RuntimePermission "createClassLoader";
        permission java.lang.RuntimePermission "getClassLoader";
        permission org.opensearch.script.ClassPermission "<<STANDARD>>";
        """,
    ),
}
_DESCRIPTOR: Final = """\
name={name}
description={name}
version={version}
opensearch.version={version}
java.version=11
classname={class_name}
extended.plugins=
has.native.controller=false
"""
_SETTINGS: Final = """\
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: 0
cluster.routing.allocation.disk.threshold_enabled: false
"""
_LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


@contextmanager
def serve_open_search(jars: Path, java: Path, folder: Path, port: int) -> Iterator[str]:
    """Starts a node on ``port`` with all it writes in ``folder``; its address, which may not answer yet."""
    home = _make_home(jars, folder, port)
    command = [
        str(java), "-Xms512m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
        "-Djava.security.manager=allow", "-Djna.nosys=true", "-Djna.noclasspath=true",
        f"-Djava.io.tmpdir={home / 'tmp'}", f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={home / 'config'}", "-cp", f"{home / 'lib'}/*",
        "org.opensearch.bootstrap.OpenSearch",
    ]  # fmt: skip
    said = folder / "opensearch.txt"
    with said.open("wb") as log, subprocess.Popen(command, cwd=home, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            # All that it could save is in a temporary folder.
            process.kill()
            process.wait()


def _make_home(jars: Path, folder: Path, port: int) -> Path:
    """The folders of a distribution."""
    home = folder / "opensearch"
    for part in ("lib", "config", "plugins", "tmp"):
        (home / part).mkdir(parents=True)
    (home / "config" / "opensearch.yml").write_text(_SETTINGS.format(port=port), "utf-8")
    (home / "config" / "log4j2.properties").write_text(_LOGGING, "utf-8")
    (core,) = jars.glob("opensearch-[0-9]*.jar")
    version = core.stem.removeprefix("opensearch-")
    for name, module in _MODULES.items():
        place = home / "modules" / name
        place.mkdir(parents=True)
        descriptor = _DESCRIPTOR.format(name=name, version=version, class_name=module.class_name)
        (place / "plugin-descriptor.properties").write_text(descriptor, "utf-8")
        (place / "plugin-security.policy").write_text(f"grant {{{module.rights}}};\n", "utf-8")
    for jar in jars.glob("*.jar"):
        owners = [name for name, module in _MODULES.items() if module.jars.match(jar.name)]
        shutil.copy(jar, home.joinpath("modules", *owners) if owners else home / "lib")
    return home
