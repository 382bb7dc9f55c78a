#!/bin/sh
# Copies each module's database in the folder $1 into the new folder $2 while the service goes on.
#   backup.sh /var/lib/shop /backup/shop/2026-11-21
set -eu
mkdir "$2"
for file in "$1"/*.db; do
    copy="$2/$(basename "$file")"
    # One reading transaction: writers go on, and it ends. `.backup` begins again whenever somebody wrote.
    sqlite3 -readonly "$file" "vacuum into '$copy'"
    sync "$copy"
    [ "$(sqlite3 -readonly "$copy" 'pragma integrity_check')" = ok ]
done
sync "$2"
