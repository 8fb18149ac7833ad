#!/bin/sh
# Starts PostgreSQL; on an empty volume it first makes the cluster, the database and its roles.
set -eu

[ "${1:-}" = postgres ] || exec "$@"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_DB:?}" "${POSTGRES_USER:?}" "${POSTGRES_PASSWORD:?}"
    : "${APP_DB_USER:?}" "${APP_DB_PASSWORD:?}" "${OPS_DB_USER:?}" "${OPS_DB_PASSWORD:?}"
    password_file=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" > "$password_file"
    initdb --username="$POSTGRES_USER" --pwfile="$password_file" --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256
    rm -f "$password_file"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    {
        echo "shared_preload_libraries = 'pg_stat_statements'"
        echo 'log_min_duration_statement = 1000'
    } >> "$PGDATA/postgresql.conf"

    # Reachable through the socket alone until everything is in place, so that no health check that
    # asks over TCP can call a half-made database ready.
    pg_ctl --wait --silent --options="-c listen_addresses=''" start
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv database POSTGRES_DB
\getenv app APP_DB_USER
\getenv app_password APP_DB_PASSWORD
\getenv ops OPS_DB_USER
\getenv ops_password OPS_DB_PASSWORD
CREATE ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
CREATE ROLE :"ops" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'ops_password';
GRANT pg_monitor, pg_read_all_data TO :"ops";
CREATE DATABASE :"database" OWNER :"app";
\connect :"database"
CREATE EXTENSION pg_stat_statements;
-- So that the checks see what is written in the server's files and not loaded yet.
GRANT SELECT ON pg_file_settings TO :"ops";
GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO :"ops";
-- So that they see whom pg_hba.conf lets in how.
GRANT SELECT ON pg_hba_file_rules TO :"ops";
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO :"ops";
SQL
    pg_ctl --wait --silent --mode=fast stop
fi

exec "$@"
