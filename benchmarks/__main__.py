"""`make bench`: every benchmark, one after the other, each with its table."""

from benchmarks import (
    answers,
    calibration,
    cascade,
    confidence,
    cost,
    grounding,
    inference,
    intervals,
    reading,
    simulation,
)
from benchmarks.cluster import run as cluster

if __name__ == "__main__":
    grounding.main()
    answers.main()
    confidence.main()
    calibration.main()
    cascade.main()
    intervals.main()
    reading.main()
    cost.main()
    inference.main()
    cluster.main()
    simulation.main()
