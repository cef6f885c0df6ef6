"""How busy slots are: the pipeline beside a bare loop with the same cap, in the same run."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.inference.asking import RunTasks, ask_bare, ask_with_pipeline, prepare
from benchmarks.inference.servers import Load, Speed, reset, serve, slot_load

__all__ = ["CAP", "mean_answer_tokens", "measure_occupancy", "measured", "rate_for"]

CAP = 4
_SLOWDOWN = 1 + 0.06 * (CAP - 1)
_HEAD = ("occupancy", "cap used", "idle first", "between", "last", "in flight", "s/request", "seconds")


def measure_occupancy(
    texts: Sequence[str], of_two_seconds: int, rate: float, folder: Path, on_spark: RunTasks
) -> None:
    """Prints two lines a scenario; ``of_two_seconds`` is how many pages are asked with slow requests."""
    print(f"{'':44}{''.join(f'{title:>11}' for title in _HEAD)}")
    if of_two_seconds:
        few = texts[:of_two_seconds]
        _compare(f"about 2 s, {len(few)} pages", few, folder, [Speed(rate / 4)], on_spark)
    pages = f"{len(texts)} pages"
    _compare(f"about 0.5 s, {pages}", texts, folder, [Speed(rate)], on_spark)
    both = [Speed(rate), Speed(rate / 2)]
    _compare(f"two servers, one half as fast, {pages}", texts, folder, both, on_spark)


def rate_for(seconds: float, tokens: float) -> float:
    """Tokens a second of a slot alone at which answers of so many tokens take so long with all slots busy."""
    return tokens * _SLOWDOWN / seconds


def mean_answer_tokens(texts: Sequence[str], folder: Path) -> float:
    """What an answer to these texts is long, from a server that answers at once."""
    with serve(Speed(0.0)) as url:
        ask_bare(prepare([url], texts, folder), [url], CAP)
        load = slot_load([url])
    return load.answer_tokens / load.requests


def measured(urls: Sequence[str], ask: Callable[[], object]) -> Load:
    """What the servers saw of it."""
    reset(urls)
    ask()
    return slot_load(urls)


def _compare(
    name: str, texts: Sequence[str], folder: Path, speeds: Sequence[Speed], on_spark: RunTasks
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serve(speed)) for speed in speeds]
        batch = prepare(urls, texts, folder)
        ours = measured(urls, lambda: ask_with_pipeline(batch, urls, CAP, 2, on_spark))
        bare = measured(urls, lambda: ask_bare(batch, urls, CAP))
    _print(name, ours)
    _print(f"    bare loop (ratio {ours.occupancy / bare.occupancy:.3f})", bare)


def _print(name: str, load: Load) -> None:
    shares = (load.occupancy, load.cap_used, load.idle_first, load.idle_between, load.idle_last)
    print(
        f"{name:44}{''.join(f'{share:>11.3f}' for share in shares)}"
        f"{load.most_in_flight:>11}{load.mean_seconds:>11.2f}{load.seconds:>11.1f}",
        flush=True,
    )
