"""Where the tasks of a batch are done: by Spark, or one after the other in this process."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

__all__ = ["PermitPlace", "TaskEngine", "ThisProcess", "Watch", "unwatched"]

T = TypeVar("T")
R = TypeVar("R")

Watch = Callable[[int, Callable[[], int]], AbstractContextManager[None]]
"""Tells of tasks while they are done: of how many, and whom to ask, from any thread, how many are done."""

_LOOPBACK: Final = "127.0.0.1"


def unwatched(_: int, __: Callable[[], int]) -> AbstractContextManager[None]:
    """Tells nobody."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class PermitPlace:
    """Where the permit server of a run listens, and what its tasks connect to; port 0 is any free one."""

    bind_host: str
    advertised_host: str
    port: int


class TaskEngine(Protocol):
    """What does the tasks of a batch, which are frozen descriptions and plain functions."""

    def parallelism(self) -> int:
        """How many tasks run at once."""
        ...

    def permit_place(self) -> PermitPlace:
        """Where its tasks reach the driver."""
        ...

    def run(self, tasks: Sequence[T], work: Callable[[T], R], watch: Watch = unwatched) -> list[R]:
        """Does ``work`` on every task; the results are in the order of ``tasks``.

        Raises:
            PreannotationError: what ``work`` raised.
        """
        ...


class ThisProcess:
    """Does one task after the other, here: for a few thousand pages Spark takes longer to start."""

    def parallelism(self) -> int:
        """One."""
        return 1

    def permit_place(self) -> PermitPlace:
        """Any port of the loopback address."""
        return PermitPlace(_LOOPBACK, _LOOPBACK, 0)

    def run(self, tasks: Sequence[T], work: Callable[[T], R], watch: Watch = unwatched) -> list[R]:
        """Does ``work`` on every task, in order.

        Raises:
            PreannotationError: what ``work`` raised; the tasks after that one are not begun.
        """
        done: list[R] = []
        with watch(len(tasks), lambda: len(done)):
            for task in tasks:
                outcome = work(task)
                done.append(outcome)
        return done
