"""The four assets, one a file, each thin: read, call, write, report."""
