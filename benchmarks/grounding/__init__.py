"""Grounding: beside its peers, on planted damage, on hostile pages, and what it gives away for what."""

from benchmarks.grounding.hallucinated import print_hallucinated
from benchmarks.grounding.hostile import print_hostile
from benchmarks.grounding.peers import print_peers
from benchmarks.grounding.planted import print_planted
from benchmarks.grounding.predicting import predict
from benchmarks.grounding.rejecting import print_trade_off

__all__ = ["main", "predict"]


def main() -> None:
    """Prints the tables."""
    print_peers()
    print_planted()
    print_hallucinated()
    print_trade_off()
    print_hostile()
