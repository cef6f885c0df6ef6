"""The permit server's door stays open for others, whatever the system says of a connection."""

import asyncio
import errno
from typing import Any

import pytest

from preannotation_assets.throttling.permit_listener import Strangers, accept_connections


class _Broken:
    """A listening socket of which no connection can be accepted."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.tries = 0

    def gettimeout(self) -> float:
        return 0.0

    def fileno(self) -> int:
        return -1

    def accept(self) -> Any:
        self.tries += 1
        if self.tries > 100:
            raise AssertionError("nobody else had a turn")
        raise OSError(self._code, "no connection")


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ECONNABORTED, errno.EPERM, errno.EINVAL])
def test_a_connection_that_cannot_be_accepted_leaves_others_their_turn(code: int) -> None:
    listener = _Broken(code)

    def attend() -> asyncio.Protocol:
        raise AssertionError("nothing was accepted")

    async def work() -> None:
        accepting = asyncio.create_task(accept_connections(listener, attend, Strangers()))  # type: ignore[arg-type]
        for _ in range(10):
            await asyncio.sleep(0)
        assert listener.tries == 1
        assert not accepting.done()
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)

    asyncio.run(work())
