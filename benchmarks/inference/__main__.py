"""Runs the benchmark."""

from benchmarks.inference.run import main

if __name__ == "__main__":
    main()
