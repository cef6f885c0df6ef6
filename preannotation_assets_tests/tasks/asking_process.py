"""A process that does what a Spark task does, so that it can be killed: ``python asking_process.py TASK``.

TASK is a file with a pickled ``AskModel``.
"""

import pickle
import sys
from pathlib import Path

from preannotation_assets.tasks.ask_model import ask_model

if __name__ == "__main__":
    ask_model(pickle.loads(Path(sys.argv[1]).read_bytes()))
