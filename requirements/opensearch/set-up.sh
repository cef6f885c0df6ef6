#!/bin/sh
# Makes .opensearch ready: the jars of the search engine that Argilla's server works with, for the tests in a browser.
# Does nothing when they are there already, each with its hash.
set -eu
cd "$(dirname "$0")/../.."
here=$(pwd -P)
jars=.opensearch/jars

sum=sha256sum
command -v "$sum" >/dev/null || sum='shasum -a 256'

hashes=$here/requirements/opensearch/jars.sha256

# All of them, and no other beside them: whatever is in the folder is run.
are_right() {
    (cd "$jars" 2>/dev/null && $sum --check --status "$hashes" 2>/dev/null) &&
        [ "$(find "$jars" -type f | wc -l)" -eq "$(wc -l <"$hashes")" ]
}

are_right && exit 0
command -v mvn >/dev/null || {
    echo 'set-up: Maven fetches the jars of OpenSearch; on Debian: apt-get install maven' >&2
    exit 1
}
echo 'set-up: fetching the jars of OpenSearch' >&2
rm -rf "$jars"
mvn --quiet --batch-mode --file requirements/opensearch/pom.xml dependency:copy-dependencies -DoutputDirectory="$here/$jars"
are_right || {
    echo 'set-up: the jars are not those of requirements/opensearch/jars.sha256' >&2
    exit 1
}
echo 'set-up: done' >&2
