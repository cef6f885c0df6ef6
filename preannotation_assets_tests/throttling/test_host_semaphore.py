"""The cap over all runs of one machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.throttling.host_semaphore import POLL_SECONDS, HostSemaphore

ENDPOINT = "http://gpu:11434"
HOLDER = Path(__file__).with_name("semaphore_holder.py")


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_two_runs_together_never_hold_more_than_the_cap(tmp_path: Path) -> None:
    first, second = (HostSemaphore(tmp_path, ENDPOINT, 4) for _ in range(2))
    assert [first.take() for _ in range(5)] == [True] * 4 + [False]
    assert not second.take()
    first.give_back()
    assert second.take()
    assert not first.take()
    assert HostSemaphore(tmp_path, "http://other:11434", 4).take()


def test_a_run_that_wants_gets_its_share_of_a_busy_endpoint(tmp_path: Path) -> None:
    clock = _Clock()
    busy, wanting = (HostSemaphore(tmp_path, ENDPOINT, 4, clock) for _ in range(2))
    held = {busy: 0, wanting: 0}
    while busy.take():
        held[busy] += 1
    for _ in range(60):
        for run in (busy, wanting):
            if held[run] and (run is busy or held[run] == 2):
                run.give_back()
                held[run] -= 1
            while run.take():
                held[run] += 1
            run.want(True)
            clock.now += POLL_SECONDS
        assert sum(held.values()) <= 4
    assert held[wanting] >= 2
    wanting.want(False)
    wanting.close()
    clock.now += 10
    busy.want(False)
    while busy.take():
        held[busy] += 1
    assert held[busy] == 4


def test_one_slot_goes_to_and_fro(tmp_path: Path) -> None:
    clock = _Clock()
    runs = [HostSemaphore(tmp_path, ENDPOINT, 1, clock) for _ in range(2)]
    turns = [0, 0]
    holder: int | None = None
    for _ in range(400):
        if holder is not None:
            runs[holder].give_back()
            holder = None
        for number, run in enumerate(runs):
            if holder is None and run.take():
                holder = number
                turns[number] += 1
            else:
                run.want(True)
        clock.now += POLL_SECONDS
    assert min(turns) > 20


def test_a_run_that_has_left_a_slot_to_another_takes_those_of_its_own_share(tmp_path: Path) -> None:
    clock = _Clock()
    ours, theirs = (HostSemaphore(tmp_path, ENDPOINT, 5, clock) for _ in range(2))
    assert all(ours.take() for _ in range(3))
    assert all(theirs.take() for _ in range(2))
    theirs.want(True)
    ours.give_back()
    assert not ours.take()
    # The next request ends before the other run has looked for the slot.
    ours.give_back()
    assert ours.take()
    assert not ours.take()
    assert theirs.take()


def test_the_slot_of_a_killed_run_comes_back_after_a_moment(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(HOLDER), str(tmp_path), ENDPOINT, "1"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        clock = _Clock()
        run = HostSemaphore(tmp_path, ENDPOINT, 1, clock)
        assert not run.take()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
    assert not run.take()
    clock.now += 1.9
    assert not run.take()
    clock.now += 0.2
    assert run.take()
    run.give_back()
    assert HostSemaphore(tmp_path, ENDPOINT, 1, clock).take()


def test_the_wish_of_a_killed_run_is_forgotten(tmp_path: Path) -> None:
    run = HostSemaphore(tmp_path, ENDPOINT, 2)
    assert run.take()
    folder = next(tmp_path.iterdir())
    (folder / "dead.wanting").touch()
    assert run.take()
    assert not list(folder.glob("*.wanting"))


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["take", "give", "want", "unwant"])), max_size=60
    ),
    cap=st.integers(1, 4),
)
def test_whatever_three_runs_do_the_cap_holds(
    tmp_path_factory: object, steps: list[tuple[int, str]], cap: int
) -> None:
    folder = tmp_path_factory.mktemp("slots")  # type: ignore[attr-defined]
    runs = [HostSemaphore(folder, ENDPOINT, cap) for _ in range(3)]
    held = [0, 0, 0]
    for number, action in steps:
        if action == "take":
            held[number] += runs[number].take()
        elif action == "give" and held[number]:
            runs[number].give_back()
            held[number] -= 1
        elif action in ("want", "unwant"):
            runs[number].want(action == "want")
        assert sum(held) <= cap
    for run in runs:
        run.close()
    assert [HostSemaphore(folder, ENDPOINT, cap).take()] == [True]
