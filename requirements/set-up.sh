#!/bin/sh
# Makes .venv ready: `set-up.sh runtime` for running the pipeline, `set-up.sh dev` for working on it.
# `set-up.sh argilla` makes .venv-argilla, in which Argilla's server judges what we publish; not this package.
# `set-up.sh model` makes .venv-model, which holds a real model server and a real, small model for the tests.
# `set-up.sh audit` makes .venv-audit, which holds pip-audit.
# `set-up.sh deploy` makes .venv-deploy, which has what the image has: `make test-deploy` runs its processes with it.
# `set-up.sh linters` makes .venv-linters, whose programs look at deploy/ and the shell scripts.
# Does nothing when that was done before and neither the locks nor the folder changed since.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
kind=$1
venv=.venv
alone=
case $kind in argilla | model | audit | deploy | linters)
    venv=.venv-$kind
    alone=yes
    ;;
esac
done_file=$venv/set-up-done

fail() {
    printf 'set-up: %s\n' "$1" >&2
    exit 1
}
say() {
    printf 'set-up: %s\n' "$1" >&2
}

# An interpreter that can make environments, or one line that says what is lacking.
find_python() {
    without_venv=
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        without_venv=$candidate
    done
    [ -z "$without_venv" ] || fail "$without_venv lacks venv; on Debian: apt-get install python3-venv"
    fail 'no Python 3.11, 3.12 or 3.13 on the PATH; install one, or say where it is: make PYTHON=/path/to/python3'
}

# The environment works where it stands: its scripts name the folder they were installed into.
is_usable() {
    [ -x "$venv/bin/pip" ] || return 1
    head -n 3 "$venv/bin/pip" | grep -qF "$here/$venv/bin/" || return 1
    "$venv/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || return 1
    "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

# Names the state of what was installed; changes with any of the files given.
state_of() {
    cat pyproject.toml requirements/installer.lock "requirements/$1.lock" | cksum | cut -d ' ' -f 1
}
is_done() {
    grep -qx "$1 $(state_of "$1")" "$done_file" 2>/dev/null
}

if ! is_usable; then
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

# The locks hold the same versions; dev has what runtime has, and more.
if is_done dev || { [ "$alone" ] && is_done "$kind"; }; then
    exit 0
fi
if [ "$kind" = runtime ] && { is_done runtime || is_done java; }; then
    exit 0
fi

if [ "$kind" = runtime ] && ! "$venv/bin/python" -c \
    'import os; from preannotation_assets.defs.resources.java import find_java_home; find_java_home(os.environ)' 2>/dev/null
then
    say 'no Java 17 or later on this machine: a Java runtime comes with the packages'
    kind=java
fi
say "installing requirements/$kind.lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    --requirement requirements/installer.lock
"$venv/bin/python" requirements/install.py "requirements/$kind.lock"
[ "$alone" ] || "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index --editable .
printf '%s %s\n' "$kind" "$(state_of "$kind")" >>"$done_file"
say 'done'
