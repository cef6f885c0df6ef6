"""Runs the benchmark."""

from benchmarks.reading.run import main

if __name__ == "__main__":
    main()
