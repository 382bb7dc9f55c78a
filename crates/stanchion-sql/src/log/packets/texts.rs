//! What the packets say.

/// Begins and takes the log's lock, held to the commit: one lock a log, under a number of ours. A statement of its
/// own, so that what follows sees every earlier holder's rows; never prepared, so that it always names this table.
pub(super) const BEGIN: &str =
    "begin; select pg_advisory_xact_lock(8274, 'event'::regclass::oid::int)";

/// Lock, rows and commit as one statement: what most batches are.
pub(super) const WRITE: &str =
    "select stanchion_write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/// The position before the batch is read by the statement that inserts, under the lock.
pub(super) const EVENTS: &str = "\
with base as (select coalesce(max(position), 0) as position from event), \
inserted as (insert into event \
 (position, stream, version, event_id, category, type, data, meta, at, checksum) \
 select base.position + t.n, t.stream, t.version, t.event_id, t.category, t.type, t.data, t.meta, $9, t.checksum \
 from base, unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::json[], $7::json[], \
 $8::bigint[]) with ordinality as t (stream, version, event_id, category, type, data, meta, checksum, n)) \
select position from base";

pub(super) const NAMES: &str = "\
insert into stream (stream, category, name) select * from unnest($1::uuid[], $2::text[], $3::text[]) \
on conflict (stream) do nothing";

pub(super) const KEYS: &str = "\
insert into inbox (key, position, answer, at) \
select t.key, (select coalesce(max(position), 0) from event) - t.back, t.answer, $4 \
from unnest($1::text[], $2::bigint[], $3::bytea[]) as t (key, back, answer)";

/// Fails with a division by zero unless every claim was still owned.
pub(super) const CLAIMS: &str = "\
with completed as (update inbox set owner = null, expires_at = null, answer = t.answer, at = $5, \
 position = (select coalesce(max(position), 0) from event) - t.back \
 from unnest($1::text[], $2::bigint[], $3::bytea[], $4::uuid[]) as t (key, back, answer, owner) \
 where inbox.key = t.key and inbox.owner = t.owner returning 1) \
select 1 / (case when count(*) = cardinality($1) then 1 else 0 end) from completed";

pub(super) const TIMERS_SET: &str = "\
insert into timer (stream, name, category, due_at) \
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) \
on conflict (stream, name) do update set category = excluded.category, due_at = excluded.due_at";

pub(super) const TIMERS_CLEARED: &str = "\
delete from timer using unnest($1::uuid[], $2::text[]) as t (stream, name) \
where timer.stream = t.stream and timer.name = t.name";

/// Follows the commit in a transaction of its own: within it, the notification's lock, one for the whole cluster, would
/// be held over the flush. Reads no table: the head is given, or is what the batch before it left.
pub(super) const NOTIFY: &str =
    "select pg_notify($1, coalesce($2, current_setting('stanchion.head', true)))";

/// Leaves the head for [`NOTIFY`], as `stanchion_write` does.
pub(super) const LEAVE_HEAD: &str =
    "select set_config('stanchion.head', max(position)::text, false) from event";

/// Writes something, so that the commit waits for what every commit waits for (a synchronous replica): what an
/// earlier commit, cut off in that wait, left is only then as safe as its answer will say.
pub(in crate::log) const TOUCH: &str = "update feed set created_at = created_at";
