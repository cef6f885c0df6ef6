"""A process that holds a lease until it is killed: ``python lease_holder.py ROOT KEY``."""

import signal
import sys

from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.lake.lease import DatasetLease

if __name__ == "__main__":
    store = open_store(StoreLocation(sys.argv[1]))
    with DatasetLease(store, sys.argv[2], "killed", lambda _: None):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        signal.pause()
