#!/bin/sh
# Locks the dependencies of pyproject.toml with hashes. Needs `uv` on the PATH.
# The locks are universal (Linux and macOS, Python 3.11 to 3.13) and name no download host.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras \
        --no-emit-index-url --no-emit-find-links --no-header --quiet "$@"
}
compile pyproject.toml --output-file requirements/runtime.lock
compile pyproject.toml --group dev --constraint requirements/runtime.lock --output-file requirements/dev.lock
compile pyproject.toml --extra java --constraint requirements/runtime.lock --output-file requirements/java.lock
