"""A machine that is switched off or cut off says nothing: its permits come back all the same."""

import asyncio
import errno
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared.network_namespaces import Machine, NoNamespacesError, machines
from shared.polling import wait_for

from preannotation_assets.throttling import permit_listener
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_server import PermitServer
from preannotation_assets.throttling.silence import DRIVER_SECONDS, TASK_SECONDS, end_when_silent, is_silent

ENDPOINT = "http://gpu:11434"
HOLDER = Path(__file__).with_name("permit_holder.py")
LINUX = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")


def longest_silence(connection: socket.socket) -> int:
    """In milliseconds; 0 where nobody asks for a sign of life."""
    if not connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return 0
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


@LINUX
def test_a_task_gives_up_before_its_permit_is_another_s() -> None:
    with PermitServer([ENDPOINT], Limits(max_in_flight=1)) as server:

        async def look() -> tuple[int, int]:
            async with PermitClient(server.address) as client:
                await client.acquire()
                (of_driver,) = server._connections
                of_task = client._line
                assert of_task.transport is not None
                assert of_driver.transport is not None
                return (
                    longest_silence(of_task.transport.get_extra_info("socket")),
                    longest_silence(of_driver.transport.get_extra_info("socket")),
                )

        task, driver = asyncio.run(look())
    # 30 s of no network are survived: the pauses between two tries double.
    assert 60_000 < task < driver
    assert (task, driver) == (1000 * TASK_SECONDS, 1000 * DRIVER_SECONDS)


def test_a_short_silence_is_asked_about_in_its_time() -> None:
    with socket.socket() as connection:
        end_when_silent(connection, 2)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


class _Untold:
    """A socket of a system that calls itself Linux and does not tell."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    def setsockopt(self, level: int, optname: int, value: int, /) -> None:
        return


@LINUX
def test_where_nothing_is_told_nobody_is_silent() -> None:
    assert not is_silent(_Untold())


@pytest.fixture
def other_machine() -> Iterator[Machine]:
    try:
        with machines(["task"]) as (machine,):
            yield machine
    except NoNamespacesError as error:
        pytest.skip(str(error))


@pytest.mark.server
def test_the_permits_of_a_machine_that_is_cut_off_come_back(
    other_machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(permit_listener, "DRIVER_SECONDS", 2)
    here = other_machine.host.rpartition(".")[0] + ".254"
    limits = Limits(max_in_flight=2, linger_seconds=0.05)
    with PermitServer([ENDPOINT], limits, bind_host=here, advertised_host=here) as server:
        address = server.address
        command = [*other_machine.before, sys.executable, str(HOLDER)]
        arguments = [address.host, str(address.port), address.secret, "3"]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout is not None
                assert [holder.stdout.readline().strip() for _ in range(2)] == [ENDPOINT] * 2
                other_machine.cut()

                async def acquire() -> str:
                    async with PermitClient(address) as line:
                        return (await asyncio.wait_for(line.acquire(), 60)).endpoint

                assert asyncio.run(acquire()) == ENDPOINT
                deadline = time.monotonic() + 30
                while server.progress().endpoints[ENDPOINT].in_flight:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            finally:
                holder.kill()
    assert caplog.text == ""


def _hears_nobody(server: PermitServer) -> bool:
    sockets = [each.transport.get_extra_info("socket") for each in server._connections if each.transport]
    return any(map(is_silent, sockets))


@LINUX
@pytest.mark.server
def test_a_permit_goes_to_who_can_be_reached_and_to_a_machine_that_was_cut_off_when_it_is_back(
    other_machine: Machine,
) -> None:
    here = other_machine.host.rpartition(".")[0] + ".254"
    limits = Limits(max_in_flight=4, linger_seconds=0.05)
    with PermitServer([ENDPOINT], limits, bind_host=here, advertised_host=here) as server:
        address = server.address
        command = [*other_machine.before, sys.executable, str(HOLDER)]
        arguments = [address.host, str(address.port), address.secret, "2"]

        async def share(lines: Callable[[], str]) -> list[str]:
            async with PermitClient(address) as client:
                held = [await client.acquire() for _ in range(4)]
                await asyncio.to_thread(wait_for, lambda: len(server._dispatcher.waiting) == 2, "two wishes")
                other_machine.cut()
                # Nothing tells yet that it does not come there.
                client.release(held.pop())
                await asyncio.to_thread(wait_for, lambda: _hears_nobody(server), "silence")
                client.release(held.pop())
                held.append(await asyncio.wait_for(client.acquire(), 60))
                other_machine.mend()
                first = await asyncio.to_thread(lines)
                client.release(held.pop())
                return [first, await asyncio.to_thread(lines)]

        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout is not None
                assert asyncio.run(share(holder.stdout.readline)) == [f"{ENDPOINT}\n"] * 2
            finally:
                holder.kill()
