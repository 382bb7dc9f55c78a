#!/bin/sh
# Installs message-db's SQL (from its npm package, in the folder of the first argument) into the database that libpq's
# variables name, then runs the driver in the second argument with the rest.
set -eu
sql=$1 driver=$2
shift 2
DATABASE_NAME=$PGDATABASE CREATE_DATABASE=off bash "$sql/install.sh" >&2
exec "$driver" "$@"
