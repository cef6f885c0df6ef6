"""Runs on a Spark standalone cluster: 20,000 pages, uneven batches, a network that goes away, two drivers.

The cluster is that of the tests, ``preannotation_assets_tests/shared/spark_cluster.py``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "preannotation_assets_tests"))
