#!/bin/sh
# Creates the roles and the database that Giro needs, and sets their passwords to those of the URLs.
# Safe to run again. Connects as a superuser by the usual PG* variables.
set -eu

# The password in the URL of a role. Only characters that a URL does not have to encode, so that
# what PostgreSQL is given here is what the server reads from the same URL.
password() {
    found=$(sed -n "1s|^postgresql://$2:\([A-Za-z0-9._~-]\{1,\}\)@.*|\1|p" "$1")
    if [ -z "$found" ]; then
        echo "$1 must read postgresql://$2:PASSWORD@HOST:PORT/giro," \
             "the password of letters, digits and . _ ~ -" >&2
        return 1
    fi
    printf '%s' "$found"
}

if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    export PGPASSWORD
fi
# By the environment: arguments can be seen in the list of processes.
OWNER_PASSWORD=$(password "$OWNER_URL_FILE" giro_owner)
APP_PASSWORD=$(password "$APP_URL_FILE" giro_app)
export OWNER_PASSWORD APP_PASSWORD

exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname=postgres <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD

-- A failed statement is logged, and these contain passwords.
SET log_min_error_statement = panic;
SET log_statement = 'none';

SELECT format('CREATE ROLE %I', role)
  FROM unnest(ARRAY['giro_owner', 'giro_server', 'giro_app']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

ALTER ROLE giro_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE giro_server NOLOGIN;
ALTER ROLE giro_app LOGIN PASSWORD :'app_password';

-- Before the migration, which grants to giro_server and creates it only where it is missing.
SELECT 'GRANT giro_server TO giro_app'
 WHERE NOT pg_has_role('giro_app', 'giro_server', 'MEMBER')
\gexec

SELECT 'CREATE DATABASE giro OWNER giro_owner'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'giro')
\gexec

REVOKE ALL ON DATABASE giro FROM PUBLIC;
GRANT CONNECT ON DATABASE giro TO giro_server;
SQL
