"""What marks everything that is told of one run."""

from dataclasses import dataclass

__all__ = ["RunNames"]


@dataclass(frozen=True, slots=True)
class RunNames:
    """What the metrics of a run are marked with; ``provider`` is the kind of server, in small letters."""

    dataset: str
    run_id: str
    model: str
    provider: str
