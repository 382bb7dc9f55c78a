#!/bin/sh
# Puts one segment of write-ahead log into the archive: whole, on the disk, and never over another one.
#   archive_command = '/etc/postgresql/archive.sh %p /backup/wal/%f'
set -eu
if [ -e "$2" ]; then
    # Asked again after a crash: done if it is the same one, a refusal if it is not.
    exec cmp -s "$1" "$2"
fi
cp "$1" "$2.part"
sync "$2.part"
mv "$2.part" "$2"
sync "$(dirname "$2")"
