#!/bin/sh
# Starts one of the two processes of a deployment: `entrypoint.sh webserver` or `entrypoint.sh daemon`.
# Needs DAGSTER_HOME (a folder that both share and that outlives them) and the project as working folder.
set -eu

: "${DAGSTER_HOME:?set DAGSTER_HOME to a folder that outlives the container}"
export DAGSTER_HOME
mkdir -p "$DAGSTER_HOME"

draft="$DAGSTER_HOME/dagster.yaml.$$"
cat dagster.yaml > "$draft"
if [ -n "${PREANNOTATION_LOGS_BUCKET:-}" ]; then
    cat deploy/compute_logs_s3.yaml >> "$draft"
fi
mv "$draft" "$DAGSTER_HOME/dagster.yaml"

case "${1:-}" in
    webserver)
        exec dagster-webserver --workspace workspace.yaml --host 0.0.0.0 --port "${PORT:-3000}"
        ;;
    daemon)
        # The daemon's code server starts the runs; none of them can be alive yet.
        python -m preannotation_assets.recovery
        exec dagster-daemon run --workspace workspace.yaml
        ;;
    *)
        echo "usage: entrypoint.sh webserver|daemon" >&2
        exit 2
        ;;
esac
