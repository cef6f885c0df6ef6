"""Every number that the tables stand on, with where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from preannotation_assets.simulator.openai.settings import BatchTimes

__all__ = ["GPUS", "NUMBERS", "Gpu", "Number", "Numbers"]

_SIZES = "measured, `--sizes`"
_INFERENCE = "measured, [inference.md](inference.md#figures)"

_BELOW = "[below](#what-is-on-disk-and-not-in-memory)"

_ASSUMED = "**assumption**"


@dataclass(frozen=True, slots=True)
class Number:
    """A value, its unit, and its source."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a batch, the pipeline and a store are taken to be."""

    constant: Number = Number("instructions before a page", 2_447, "tokens", _SIZES)
    page: Number = Number("a page", 499, "tokens", f"{_SIZES}: demo pages of 1,342 letters")
    answer: Number = Number("an answer", 89, "tokens", f"{_SIZES}: the stand-in's rules, no model")
    chunks: Number = Number("chunks a page", 1, "", f"{_ASSUMED}: a page is shorter than 6,000 tokens")
    spread: Number = Number(
        "pages and answers", 1, "coefficient of variation", f"{_ASSUMED}: exponentially distributed"
    )
    driver: Number = Number(
        "driver, CPU a request",
        0.0005,
        "s",
        f"{_INFERENCE}: 0.26 to 0.53 ms, one event loop; on 2026-11-30 0.41, and 0.58 streamed",
    )
    task: Number = Number(
        "task, CPU a streamed request",
        0.0117,
        "s",
        f"{_INFERENCE}: 11.2 ms with 100 events an answer and log-probabilities; 11.7 on 2026-11-30, and 2.2 "
        "not streamed",
    )
    cores: Number = Number("cores and Spark tasks", 16, "", f"{_ASSUMED}; a task uses one core")
    gap: Number = Number(
        "from an answer to the next request", 0.02, "s", f"{_INFERENCE}: 5 to 41 ms, the CPU above in it"
    )
    cap: Number = Number("in flight at a server, at most", 256, "", "the default of `openai`")
    flush: Number = Number("answers kept after", 3, "s", "`PREANNOTATION_FLUSH_SECONDS`, default")
    part: Number = Number("pages a part", 2_000, "", "`PREANNOTATION_PAGES_A_PART`, default")
    planned: Number = Number("chunks a file of a plan", 10_000, "", "[inference.md](inference.md#limits)")
    row: Number = Number("row of the answer store, compacted", 354, "bytes", _SIZES)
    logged: Number = Number("row of the table of requests", 94, "bytes", _SIZES)
    held: Number = Number(
        "what grows in the driver's memory", 100, "bytes a page", f"reckoned, {_BELOW}: at most"
    )
    listed: Number = Number(
        "a file of answers, while a lake in a folder is listed", 100, "bytes", f"reckoned, {_BELOW}"
    )
    looked_up: Number = Number("index, ids and counts, on the driver's disk", 256, "bytes a page", _SIZES)
    rows: Number = Number(
        "published rows a page",
        7.6,
        "",
        "[simulator.md](simulator.md#what-it-answers): 5.9 to 9.9 by language",
    )
    published: Number = Number(
        "published row", 36, "bytes", "measured, [storage.md](storage.md#more-than-one-put-takes)"
    )
    put: Number = Number("one put of S3, at most", 5 * 2**30, "bytes", "S3's documentation")
    memory: Number = Number("memory of the driver's process", 16e9, "bytes", _ASSUMED)
    disk: Number = Number("disk of the driver", 1e12, "bytes", _ASSUMED)
    put_price: Number = Number(
        "1,000 puts or listings", 0.005, "$", f"{_ASSUMED}: a list price, not looked up again"
    )
    files: Number = Number("open files that a run asks for, a request in flight", 2, "", _INFERENCE)

    def __iter__(self) -> Iterator[Number]:
        """All of them."""
        return (getattr(self, one.name) for one in fields(self))


NUMBERS = Numbers()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A server by its steps; ``dollars`` is what an hour costs, ``source`` says whence all of that is."""

    name: str
    times: BatchTimes
    dollars: float
    source: str

    @property
    def written_a_second(self) -> float:
        """Tokens a second of a full batch that reads nothing."""
        return self.times.saturation / self.times.step_seconds(self.times.saturation)


def _saturating(written_a_second: float, prefill_rate: float) -> BatchTimes:
    """256 sequences at once, a step with one of them half as long as with all."""
    step = 256 / written_a_second
    return BatchTimes(step / 2, step / 2 / 256, 256, prefill_rate)


GPUS = (
    Gpu(
        "70B on a GB10",
        BatchTimes(),
        0.18,
        f"{_ASSUMED}: the stand-in's defaults ([simulator.md](simulator.md#time)). Writes 5 tokens a second "
        "alone and 695 in 256 streams, reads 1,000. $4,699 over three years, without power: a list price, "
        "not looked up again",
    ),
    Gpu(
        "70B on an H100",
        _saturating(3_094, 10_000),
        2.99,
        f"{_ASSUMED}: writes 3,094 tokens a second, an eighth of 84.2 samples a second of 294 tokens (Llama "
        "2 70B on eight, MLPerf Inference v4.1, Offline, by a list of others). Reads 10,000 a second, half a "
        "step alone. $2.99 an hour: a list price, not looked up again",
    ),
    Gpu(
        "8B on an H100",
        _saturating(30_940, 100_000),
        2.99,
        f"{_ASSUMED}: ten times the line above, to see what a quick model does to the driver",
    ),
)
