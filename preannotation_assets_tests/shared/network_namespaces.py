"""Machines on one machine: network namespaces on a bridge, each with an address and a cable to pull.

Needs root and Linux's `ip`; what uses it is skipped elsewhere, with the reason.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

__all__ = ["HERE", "Machine", "NoNamespacesError", "apart", "machines"]


class NoNamespacesError(Exception):
    """This machine does not let us make network namespaces."""


@dataclass(frozen=True)
class Machine:
    """Its address, the words that put a command on it, and the end of its cable that we hold."""

    host: str
    before: tuple[str, ...] = ()
    cable: str = ""

    def cut(self) -> None:
        """Pulls the cable: what is sent is lost, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Puts it in again."""
        _ip("link", "set", self.cable, "up")


HERE = Machine("127.0.0.1")


@contextmanager
def apart(those: Sequence[Machine]) -> Iterator[None]:
    """For the time of the block they do not reach each other, but all else; what they send is lost."""

    def isolate(state: str) -> None:
        for machine in those:
            _ip("link", "set", machine.cable, "type", "bridge_slave", "isolated", state)

    isolate("on")
    try:
        yield
    finally:
        isolate("off")


@contextmanager
def machines(names: Sequence[str]) -> Iterator[list[Machine]]:
    """One for each name, all on one network; this machine has the address that ends in 254 there.

    Raises:
        NoNamespacesError: they cannot be made here.
    """
    if shutil.which("ip") is None or os.geteuid() != 0:
        raise NoNamespacesError("network namespaces need root and `ip`")
    mark = f"{os.getpid() % 100_000}"
    network = f"10.213.{os.getpid() % 250}"
    bridge = f"pre{mark}"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("address", "add", f"{network}.254/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        made = []
        for number, name in enumerate(names, start=1):
            namespace, cable = f"pre-{mark}-{name}", f"v{mark}.{number}"
            _ip("netns", "add", namespace)
            stack.callback(_ip, "netns", "del", namespace)
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            # A namespace lets go of its end some time after it is deleted.
            stack.callback(_ip, "link", "del", cable)
            _ip("link", "set", cable, "master", bridge, "up")
            for command in (
                ("address", "add", f"{network}.{number}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", namespace, *command)
            made.append(Machine(f"{network}.{number}", ("ip", "netns", "exec", namespace), cable))
        yield made


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespacesError(f"ip {' '.join(words)}: {done.stderr.strip()}")
