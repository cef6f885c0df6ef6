"""The tables of docs/scaling.md: rates that are simulated, sizes that are reckoned from them."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.simulation.inputs import GPUS, NUMBERS, Gpu
from benchmarks.simulation.pipeline import Client, Outcome, simulate
from benchmarks.simulation.servers import Batch, Work

__all__ = [
    "Share",
    "input_lines",
    "limit_lines",
    "print_tables",
    "shares",
    "simulated",
    "store_lines",
    "time_lines",
]

_SIZES = (10_000_000, 1_000_000_000)
_COUNTS = (1, 8, 64)
_REQUESTS_A_GPU = 2_000
_LOG_SECONDS = 30.0
_LEASE_SECONDS = 15.0
_KEYS_A_LISTING = 1_000
# Past the start, and while there is still more to ask than may be in flight.
_SINCE, _UNTIL = 0.5, 0.85


@dataclass(frozen=True, slots=True)
class Share:
    """A batch of ``pages`` on ``gpus`` of a kind, at ``rate`` pages a second."""

    gpu: Gpu
    gpus: int
    pages: int
    rate: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.pages / self.rate

    @property
    def dollars(self) -> float:
        """What the servers cost for that long."""
        return self.seconds / 3_600 * self.gpus * self.gpu.dollars

    @property
    def answer_files(self) -> float:
        """Files of answers before they are put together.

        A task waits for an answer and then for the interval: so many answers come in that time, one more.
        """
        each = self.rate / NUMBERS.cores.value
        return self.pages / (1 + each * NUMBERS.flush.value)

    @property
    def plans(self) -> float:
        """Files of plans, which go with the run: what to ask, and where the answers to each part are."""
        return self.pages * NUMBERS.chunks.value / NUMBERS.planned.value + self.pages / NUMBERS.part.value

    @property
    def objects(self) -> float:
        """Objects at most: parts of the five stages, plans, files of answers, and the table of requests."""
        parts = 5 * self.pages / NUMBERS.part.value
        return parts + self.plans + self.answer_files + self.seconds / _LOG_SECONDS

    @property
    def writes(self) -> float:
        """Puts and listings: what is put together is put again; a task lists once, the driver three times."""
        compacted = self.pages * NUMBERS.row.value / (8 * 2**20)
        listings = (NUMBERS.cores.value + 3) * math.ceil(self.answer_files / _KEYS_A_LISTING)
        return self.objects + compacted + self.seconds / _LEASE_SECONDS + listings

    @property
    def reads(self) -> float:
        """Fetches: a part is read 8 times and a plan once, in two pieces; a file of answers three times."""
        return 2 * (8 * self.pages / NUMBERS.part.value + self.plans) + 3 * self.answer_files


def simulated(gpu: Gpu, gpus: int) -> Outcome:
    """A stretch of a large batch; the same each time."""
    numbers, chance = NUMBERS, random.Random(0)
    works = [
        Work(
            int(numbers.constant.value),
            1 + int(chance.expovariate(1 / numbers.page.value)),
            1 + int(chance.expovariate(1 / numbers.answer.value)),
        )
        for _ in range(_REQUESTS_A_GPU * gpus)
    ]
    client = Client(
        cap=int(numbers.cap.value),
        gap_seconds=numbers.gap.value,
        driver_seconds=numbers.driver.value,
        task_seconds=numbers.task.value,
        cores=int(numbers.cores.value),
        tells_queue=False,
    )
    return simulate([Batch(gpu.times, 256)] * gpus, works, client)


def print_tables() -> None:
    """Prints them as Markdown."""
    print(*input_lines(), "", sep="\n", flush=True)
    every = [share for gpu in GPUS for gpus in _COUNTS for share in shares(gpu, gpus)]
    print(*time_lines(every), "", *store_lines(every), "", *limit_lines(), sep="\n")


def shares(gpu: Gpu, gpus: int) -> list[Share]:
    """A batch of each size."""
    rate = simulated(gpu, gpus).rate(_SINCE, _UNTIL)
    return [Share(gpu, gpus, pages, rate) for pages in _SIZES]


def input_lines() -> Iterator[str]:
    """The numbers and the servers, with their sources."""
    yield "| number | | source |"
    yield "|---|---|---|"
    for number in NUMBERS:
        yield f"| {number.name} | {_plain(number.value)} {number.unit}".rstrip() + f" | {number.source} |"
    for gpu in GPUS:
        yield f"| {gpu.name} | {gpu.written_a_second:,.0f} tokens/s | {gpu.source} |"


def time_lines(every: Sequence[Share]) -> Iterator[str]:
    """How long it takes and what it costs; ``every`` has the sizes of a batch one after the other."""
    yield "| servers | pages/s | driver busy | cores busy | 10 million pages | | 1 billion pages | |"
    yield "|---|---|---|---|---|---|---|---|"
    for few, many in zip(every[::2], every[1::2], strict=True):
        driver, cores = min(1.0, few.rate * NUMBERS.driver.value), few.rate * NUMBERS.task.value
        cells = [f"{few.gpus} x {few.gpu.name}", f"{few.rate:,.5g}", f"{driver:.1%}", f"{cores:.2f}"]
        for share in (few, many):
            cells += [_long(share.seconds), f"${_rounded(share.dollars)}"]
        yield f"| {' | '.join(cells)} |"


def store_lines(every: Sequence[Share]) -> Iterator[str]:
    """What lies in the store of the smaller size, and how it came there; ``every`` as for the times."""
    yield "| servers | files of answers | objects at most | puts and listings | $ for them | fetches |"
    yield "|---|---|---|---|---|---|"
    for share in every[::2]:
        price = share.writes / 1_000 * NUMBERS.put_price.value
        counts = (share.answer_files, share.objects, share.writes)
        cells = [f"{share.gpus} x {share.gpu.name}", *map(_short, counts)]
        yield f"| {' | '.join([*cells, f'${_rounded(price)}', _short(share.reads)])} |"


def limit_lines() -> Iterator[str]:
    """What one dataset under one driver meets, the first one first; and what has no limit of its own."""
    numbers = NUMBERS
    limits = [
        (
            numbers.put.value / numbers.published.value / numbers.rows.value,
            "one published object of 5 GiB",
            "datasets of fewer pages ([storage.md](storage.md#more-than-one-put-takes))",
        ),
        (
            numbers.memory.value / numbers.held.value,
            "memory of the driver",
            "more memory",
        ),
        (
            numbers.memory.value / (numbers.held.value + numbers.listed.value),
            "memory of the driver, where servers are so slow that each answer has a file of its own",
            "`PREANNOTATION_FLUSH_SECONDS`; more memory",
        ),
        (
            numbers.disk.value / numbers.looked_up.value,
            "disk of the driver: ids of all chunks and the index of all answers",
            "datasets of fewer pages; TMPDIR on a larger disk",
        ),
    ]
    yield "| pages at which | what breaks | what helps |"
    yield "|---|---|---|"
    for pages, what, cure in sorted(limits):
        yield f"| {_short(pages)} | {what} | {cure} |"
    tokens = numbers.constant.value + numbers.page.value
    yield ""
    yield "| | 10 million pages | 1 billion pages |"
    yield "|---|---|---|"
    for what, of_one in (
        ("requests, where none fails", 1.0),
        ("tokens of prompts", tokens),
        ("of them read anew, with a prefix cache", numbers.page.value),
        ("tokens written", numbers.answer.value),
        ("answer store, compacted, bytes", numbers.row.value),
        ("table of requests, bytes", numbers.logged.value),
        ("index, ids and counts on the driver's disk, bytes", numbers.looked_up.value),
        ("what grows in its memory, bytes", numbers.held.value),
        ("published object, bytes", numbers.rows.value * numbers.published.value),
    ):
        yield f"| {what} | {' | '.join(_short(of_one * pages) for pages in _SIZES)} |"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _short(value: float) -> str:
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g}"


def _long(seconds: float) -> str:
    days = seconds / 86_400
    if days >= 730:
        return f"{days / 365.25:.3g} years"
    return f"{days:.3g} days" if days >= 2 else f"{seconds / 3_600:.3g} h"
