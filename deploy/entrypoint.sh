#!/bin/sh
# Starts one of the two processes of a deployment: `entrypoint.sh webserver [OPTION]...` or `entrypoint.sh daemon`.
# The web server listens on 127.0.0.1 unless its options say otherwise (deploy/README.md).
# Needs DAGSTER_HOME (a folder that both share and that outlives them) and the project as working folder.
set -eu

: "${DAGSTER_HOME:?set DAGSTER_HOME to a folder that outlives the container}"
export DAGSTER_HOME
# What Dagster keeps is for the user it runs as.
[ -d "$DAGSTER_HOME" ] || (umask 077 && mkdir -p "$DAGSTER_HOME")

draft="$DAGSTER_HOME/dagster.yaml.$$"
cat dagster.yaml > "$draft"
if [ -n "${PREANNOTATION_LOGS_BUCKET:-}" ]; then
    cat deploy/compute_logs_s3.yaml >> "$draft"
fi
mv "$draft" "$DAGSTER_HOME/dagster.yaml"

case "${1:-}" in
    webserver)
        shift
        exec python -m preannotation_assets.web_server --workspace workspace.yaml --port "${PORT:-3000}" "$@"
        ;;
    daemon)
        # The daemon's code server starts the runs.
        python -m preannotation_assets.recovery
        exec dagster-daemon run --workspace workspace.yaml
        ;;
    *)
        echo "usage: entrypoint.sh webserver [OPTION]... | daemon" >&2
        exit 2
        ;;
esac
