#!/bin/sh
# Copies the server at URL $1 into the new folder $2 while it runs, and checks the copy.
#   backup.sh postgres://replicator@db/postgres /backup/base/2026-11-21
set -eu
pg_basebackup --dbname="$1" --pgdata="$2" --checkpoint=fast --wal-method=stream --no-password
pg_verifybackup --quiet "$2"
