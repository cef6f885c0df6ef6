"""``python -m preannotation_assets.simulator.openai``: the stand-in server by itself."""

import sys

from preannotation_assets.simulator.openai.command import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main("python -m preannotation_assets.simulator.openai", sys.argv[1:]))
