"""``python -m preannotation_assets.simulator``: the stand-in server by itself."""

import sys

from preannotation_assets.simulator.command import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main("python -m preannotation_assets.simulator", sys.argv[1:]))
