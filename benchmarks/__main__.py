"""`make bench`: every benchmark, one after the other, each with its table."""

from benchmarks import answers, confidence, grounding, inference, reading, simulation

if __name__ == "__main__":
    grounding.main()
    answers.main()
    confidence.main()
    reading.main()
    inference.main()
    simulation.main()
