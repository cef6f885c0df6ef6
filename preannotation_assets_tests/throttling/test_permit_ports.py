"""On which port a run hands out permits, where a firewall lets only some through."""

import socket
from contextlib import ExitStack

import pytest

from preannotation_assets.errors import InferenceError
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_listener import PORTS
from preannotation_assets.throttling.permit_server import PermitServer

LIMITS = Limits(max_in_flight=1)


def free_row(stack: ExitStack, length: int) -> tuple[int, list[socket.socket]]:
    """So many neighbouring ports that nobody else has, held: the first of them, and what holds them."""
    for first in range(20_000, 60_000, length):
        held = ExitStack()
        try:
            row = [
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                for port in range(first, first + length)
            ]
        except OSError:
            held.close()
            continue
        stack.enter_context(held)
        return first, row
    raise AssertionError("no such row of ports")


def test_a_port_that_is_taken_is_passed_over_and_the_last_one_is_used() -> None:
    with ExitStack() as stack:
        first, row = free_row(stack, PORTS)
        row[-1].close()
        with PermitServer(["http://gpu"], LIMITS, port=first) as server:
            assert server.address.port == first + PORTS - 1


def test_where_all_are_taken_it_is_said_which() -> None:
    with ExitStack() as stack:
        first, _ = free_row(stack, PORTS)
        with (
            pytest.raises(InferenceError, match=f"ports {first} to {first + PORTS - 1} are taken"),
            PermitServer(["http://gpu"], LIMITS, port=first),
        ):
            pass
