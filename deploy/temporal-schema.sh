#!/bin/sh
# Makes or updates Temporal's two PostgreSQL databases, then ends. Runs in the admin-tools image of the server's version.
# Follows temporalio/samples-server, compose/scripts/setup-postgres.sh. SQL_PASSWORD comes from the environment.
set -eu
schema=/etc/temporal/schema/postgresql/v12
tool() {
  temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" -p 5432 -u "$SQL_USER" "$@"
}
prepare() {
  # Both fail where the database, or its first version, is there already; what counts is that the update succeeds.
  tool --db "$1" create || true
  tool --db "$1" setup-schema -v 0.0 || true
  tool --db "$1" update-schema -d "$schema/$2/versioned"
}
prepare temporal temporal
prepare temporal_visibility visibility
