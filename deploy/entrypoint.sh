#!/bin/sh
# Starts one process of a deployment (deploy/README.md), with the project as working folder:
#   entrypoint.sh code                     the code location: the sensor, and all runs
#   entrypoint.sh webserver [OPTION]...    listens on 127.0.0.1 unless its options say otherwise
#   entrypoint.sh daemon
#   entrypoint.sh migrate                  once after a new release of Dagster, while nothing else runs
#   entrypoint.sh spark-master | spark-worker [OPTION]...
#   entrypoint.sh executor                 of Spark on Kubernetes
#   entrypoint.sh stand-in [OPTION]...     a stand-in for Ollama, for trying
#   entrypoint.sh sample FILE              the sample batch as a DuckDB file, for trying
#   entrypoint.sh dagster ...              Dagster's own command, as its Helm chart calls it
# The first four need DAGSTER_HOME, a folder that they share and that outlives them.
set -eu

# DAGSTER_HOME with the configuration of this deployment. What Dagster keeps is for the user it runs as.
configure() {
    : "${DAGSTER_HOME:?set DAGSTER_HOME to a folder that outlives the container}"
    export DAGSTER_HOME
    [ -d "$DAGSTER_HOME" ] || (umask 077 && mkdir -p "$DAGSTER_HOME")
    draft=$(mktemp "$DAGSTER_HOME/dagster.yaml.XXXXXX")
    cat dagster.yaml > "$draft"
    if [ -n "${DAGSTER_PG_HOST:-}" ]; then
        cat deploy/storage_postgres.yaml >> "$draft"
    fi
    if [ -n "${PREANNOTATION_LOGS_BUCKET:-}" ]; then
        cat deploy/compute_logs_s3.yaml >> "$draft"
    fi
    mv "$draft" "$DAGSTER_HOME/dagster.yaml"
    draft=$(mktemp "$DAGSTER_HOME/workspace.yaml.XXXXXX")
    printf 'load_from:\n  - grpc_server:\n      socket: %s\n      location_name: preannotation_assets\n' \
        "$DAGSTER_HOME/code.sock" > "$draft"
    mv "$draft" "$DAGSTER_HOME/workspace.yaml"
}

# The secret of a Spark cluster, where there is one: in a file of this process, never on a command line. The master's
# REST server, which Spark 4 starts, would take programs from anybody: it knows no secret.
authenticate_spark() {
    [ -n "${SPARK_AUTHENTICATE_SECRET:-}" ] || return 0
    SPARK_CONF_DIR=$(mktemp -d)
    export SPARK_CONF_DIR
    (
        umask 077
        {
            echo 'spark.authenticate true'
            echo "spark.authenticate.secret $SPARK_AUTHENTICATE_SECRET"
            echo 'spark.network.crypto.enabled true'
            echo 'spark.master.rest.enabled false'
        } > "$SPARK_CONF_DIR/spark-defaults.conf"
    )
}

# The Spark that pyspark brings, with its own command, whatever else is installed.
spark() {
    class=$1
    shift
    authenticate_spark
    unset SPARK_HOME
    exec spark-class "org.apache.spark.deploy.$class" "$@"
}

# As Spark's own image does: what Spark's scheduler for Kubernetes wants is in variables of the pod.
executor() {
    set --
    while eval "option=\${SPARK_JAVA_OPT_$#:-}" && [ -n "$option" ]; do
        set -- "$@" "$option"
    done
    SPARK_HOME=$(python -c 'import pathlib, pyspark; print(pathlib.Path(pyspark.__file__).parent)')
    exec java "$@" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$SPARK_HOME/jars/*" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
}

what=${1:-}
[ $# = 0 ] || shift
case "$what" in
    code)
        configure
        authenticate_spark
        # Runs that died with the code server before this one: found while nobody answers in its place, reported as
        # failed when this one does, so that the daemon can start them again.
        dead=$(python -m preannotation_assets.recovery find)
        if [ -n "$dead" ]; then
            # shellcheck disable=SC2086
            python -m preannotation_assets.recovery report $dead &
        fi
        exec python -m dagster code-server start --socket "$DAGSTER_HOME/code.sock" \
            --module-name preannotation_assets.definitions --location-name preannotation_assets --log-level warning
        ;;
    webserver)
        configure
        exec python -m preannotation_assets.web_server --workspace "$DAGSTER_HOME/workspace.yaml" --port "${PORT:-3000}" "$@"
        ;;
    daemon)
        configure
        exec python -m dagster._daemon run --workspace "$DAGSTER_HOME/workspace.yaml"
        ;;
    migrate)
        configure
        exec python -m dagster instance migrate
        ;;
    spark-master)
        spark master.Master "$@"
        ;;
    spark-worker)
        spark worker.Worker "$@"
        ;;
    executor)
        executor
        ;;
    stand-in)
        exec python -m preannotation_assets.simulator "$@"
        ;;
    sample)
        exec python -c 'import pathlib, sys; from preannotation_assets.demo.sample import write_sample_database
write_sample_database(pathlib.Path(sys.argv[1]))' "$@"
        ;;
    dagster)
        exec python -m dagster "$@"
        ;;
    *)
        echo "usage: entrypoint.sh code | webserver | daemon | migrate | spark-master | spark-worker | executor | stand-in | sample | dagster" >&2
        exit 2
        ;;
esac
