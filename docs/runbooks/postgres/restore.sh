#!/bin/sh
# Makes the data folder $4 of the base backup $1 and the archive $2; the server's next start replays up to $3.
#   restore.sh /backup/base/2026-11-21 /backup/wal "recovery_target_time = '2026-11-21 16:00:00+00'" /var/lib/postgresql/15/main
set -eu
if [ -e "$4" ]; then
    echo "$4 is there: move it away, it may still be needed" >&2
    exit 1
fi
cp -a "$1" "$4"
chmod 700 "$4"
cat >>"$4/postgresql.auto.conf" <<SETTINGS
restore_command = 'cp "$2/%f" "%p"'
$3
recovery_target_action = 'promote'
SETTINGS
touch "$4/recovery.signal"
