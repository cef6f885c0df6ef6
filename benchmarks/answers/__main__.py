"""Runs the benchmark."""

from benchmarks.answers.run import main

if __name__ == "__main__":
    main()
