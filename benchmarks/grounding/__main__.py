"""``python -m benchmarks.grounding``."""

from benchmarks.grounding import main

if __name__ == "__main__":
    main()
