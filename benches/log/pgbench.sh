#!/bin/sh
# The limit of single-row inserts: pgbench.sh URL CASE WRITERS SECONDS EVENTS, one JSON line out.
# The table is as wide as an event and has one index; the database is the one libpq's variables name.
set -eu
writers=$3 seconds=${4%.*}
script=$(mktemp)
trap 'rm -f "$script"' EXIT
psql -q -c 'create table row (id bigint generated always as identity primary key, data json not null)'
note=$(printf '%0.sn' $(seq 1 270))
echo "insert into row (data) values ('{\"accountId\":\"account-00000\",\"note\":\"$note\"}')" >"$script"
result=$(pgbench -n -M prepared -c "$writers" -j 2 -T "$seconds" -f "$script" 2>/dev/null)
echo "$result" | awk '
  /number of transactions actually processed/ { split($6, count, "/"); events = count[1] }
  /^tps/ { tps = $3 }
  /latency average/ { mean = $4 }
  END { printf "{\"events\":%d,\"seconds\":%.3f,\"mean_us\":%.0f}\n", events, events / tps, mean * 1000 }'
