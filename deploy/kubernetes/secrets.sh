#!/bin/sh
# Prints the secrets that values.yaml names, as manifests, out of the environment that pulumi-esc.yaml makes. All of it
# by a pipe: everybody on the machine can read a command line.
#   pulumi env run ORGANISATION/preannotation/production -- \
#     sh -c 'deploy/kubernetes/secrets.sh | kubectl apply --filename -'
# What the environment has not is left out: a role of the pods, for example, takes the place of keys of S3.
set -eu

# manifest NAME KEY=VARIABLE...
manifest() {
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ndata:\n' "$1"
    shift
    for entry; do
        eval "value=\${${entry#*=}:-}"
        # shellcheck disable=SC2154
        [ -z "$value" ] || printf '  %s: %s\n' "${entry%%=*}" "$(printf %s "$value" | base64 | tr -d '\n')"
    done
}

: "${DAGSTER_PG_PASSWORD:?}"
manifest preannotation-postgres postgresql-password=DAGSTER_PG_PASSWORD
manifest preannotation-logs AWS_ACCESS_KEY_ID=LOGS_AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=LOGS_AWS_SECRET_ACCESS_KEY
manifest preannotation-secrets \
    AWS_ACCESS_KEY_ID=AWS_ACCESS_KEY_ID \
    AWS_SECRET_ACCESS_KEY=AWS_SECRET_ACCESS_KEY \
    motherduck_token=motherduck_token \
    PREANNOTATION_SERVER_API_KEY=PREANNOTATION_SERVER_API_KEY \
    CF_ACCESS_CLIENT_ID=CF_ACCESS_CLIENT_ID \
    CF_ACCESS_CLIENT_SECRET=CF_ACCESS_CLIENT_SECRET \
    OTEL_EXPORTER_OTLP_HEADERS=OTEL_EXPORTER_OTLP_HEADERS
