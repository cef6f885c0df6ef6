#!/bin/sh
# Locks the dependencies of pyproject.toml with hashes (`make lock`). Needs `uv` on the PATH.
# The locks are universal (Linux and macOS, Python 3.11 to 3.13) and name no download host.
# Versions stay as they are while pyproject.toml allows them: pass --upgrade for newer ones.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras \
        --no-emit-index-url --no-emit-find-links --no-header --quiet "$@"
}
# What installs the rest: pyspark comes as a source archive and needs setuptools to be unpacked.
printf 'uv\nsetuptools>=77\n' | compile - "$@" --output-file requirements/installer.lock
compile pyproject.toml "$@" --output-file requirements/runtime.lock
compile pyproject.toml "$@" --extra java --constraint requirements/runtime.lock \
    --output-file requirements/java.lock
# What the image has: the Java there is Debian's.
compile pyproject.toml "$@" --extra deploy --constraint requirements/runtime.lock \
    --output-file requirements/deploy.lock
# With the Java runtime, so that the tests can start Spark on it wherever they run.
compile pyproject.toml "$@" --extra java --group dev --constraint requirements/runtime.lock \
    --output-file requirements/dev.lock
# Alone: Argilla's server cannot live with the versions of the others.
compile --group argilla "$@" --output-file requirements/argilla.lock
# Only the two packages themselves, and llama.cpp only where it is built already.
compile --group model "$@" --no-deps --only-binary :all: --emit-build-options --output-file requirements/model.lock
# Alone: nothing but `make audit` needs it.
compile --group audit "$@" --output-file requirements/audit.lock
# Alone: programs that are run, and imported by nobody.
compile --group linters "$@" --output-file requirements/linters.lock
