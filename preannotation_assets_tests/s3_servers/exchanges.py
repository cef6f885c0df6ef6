"""A request on its way to an S3 server, and how a habit answers it in the server's place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Exchange", "Habit", "Reply"]

Reply: TypeAlias = tuple[int, str, list[tuple[str, str]], bytes]
"""Status, reason, headers, body."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request; ``send`` hands it on with these headers and that body, ``held`` looks at the object.

    ``held`` gives the etag of the object at the path without quotes, None where there is none. It works on
    moto, which checks no signatures.
    """

    command: str
    path: str
    headers: dict[str, str]
    body: bytes
    send: Callable[[dict[str, str], bytes], Reply]
    held: Callable[[], str | None]

    def pass_on(self) -> Reply:
        """The server's own reply."""
        return self.send(self.headers, self.body)

    def pass_on_without(self, *names: str) -> Reply:
        """The server's reply to the request without these headers."""
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return self.send(kept, self.body)

    def header(self, name: str) -> str | None:
        """A header of the request, whatever its case."""
        return {key.lower(): value for key, value in self.headers.items()}.get(name)


Habit: TypeAlias = Callable[[Exchange], Reply]
