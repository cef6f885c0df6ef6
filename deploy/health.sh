#!/bin/sh
# Whether a process that entrypoint.sh started works: `health.sh WHAT`, run beside it with the same environment.
set -eu

answers() {
    exec python -c 'import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5).read()' "$1"
}

case "${1:-}" in
    code)
        exec python -m dagster api grpc-health-check --socket "$DAGSTER_HOME/code.sock"
        ;;
    webserver)
        answers "http://127.0.0.1:${PORT:-3000}/server_info"
        ;;
    daemon)
        # By the heartbeats that it leaves in Dagster's storage.
        exec python -m dagster._daemon liveness-check
        ;;
    spark-master)
        answers "http://127.0.0.1:${SPARK_MASTER_WEBUI_PORT:-8080}/json/"
        ;;
    spark-worker)
        answers "http://127.0.0.1:${SPARK_WORKER_WEBUI_PORT:-8081}/json/"
        ;;
    stand-in)
        answers http://127.0.0.1:11434/api/version
        ;;
    *)
        echo "usage: health.sh code | webserver | daemon | spark-master | spark-worker | stand-in" >&2
        exit 2
        ;;
esac
