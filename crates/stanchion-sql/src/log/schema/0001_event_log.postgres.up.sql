-- The log's identity: one row, made once, part of every checkpoint.
create table feed (
    one integer primary key check (one = 1),
    id uuid not null,
    created_at timestamptz not null
);

-- What the 128-bit stream keys stand for, written once per stream.
create table stream (
    stream uuid primary key,
    category text not null,
    name text not null
);

-- Positions are assigned under the log's lock: 1, 2, 3 … in commit order. The unique index is the
-- safety net: were the lock ever bypassed, two batches would collide loudly.
create table event (
    position bigint not null unique,
    stream uuid not null,
    version bigint not null,
    event_id uuid not null unique,
    category text not null,
    type text not null,
    data json not null,
    meta json not null,
    at timestamptz not null,
    checksum bigint not null,
    primary key (stream, version)
);
create index event_by_category on event (category, position);

-- Messages and requests dealt with, each with the answer given; a claim has an owner and an expiry.
create table inbox (
    key text primary key,
    fingerprint bytea,
    owner uuid,
    expires_at timestamptz,
    position bigint,
    answer bytea,
    at timestamptz not null
);
-- Only requests have a fingerprint; they are pruned by age.
create index inbox_requests_by_age on inbox (at) where fingerprint is not null;

create table timer (
    stream uuid not null,
    name text not null,
    category text not null,
    due_at timestamptz not null,
    primary key (stream, name)
);
create index timer_by_due on timer (category, due_at);

-- How far a projection or a consumer came in a log, and which event it saw there: a log that went back is noticed.
create table checkpoint (
    name text not null,
    log uuid not null,
    position bigint not null,
    event_id uuid,
    at timestamptz not null,
    primary key (name, log)
);

-- Messages put aside: to be retried, waiting behind one of their key, or dead.
create table parked (
    consumer text not null,
    message_id uuid not null,
    key text not null,
    seq bigint not null,
    state text not null,
    attempts bigint not null,
    due_at timestamptz not null,
    reason text not null,
    message json not null,
    parked_at timestamptz not null,
    primary key (consumer, message_id)
);
create index parked_by_key on parked (consumer, key, seq);
create index parked_by_due on parked (consumer, state, due_at);

-- The key of a stream: a UUIDv8, the start of a SHA-256, as `StreamId::key` computes it.
create function stanchion_stream(category text, name text) returns uuid
language sql immutable strict as $$
    select encode(set_byte(set_byte(hash, 6, get_byte(hash, 6) & 15 | 128), 8, get_byte(hash, 8) & 63 | 128), 'hex')::uuid
    from (select substr(sha256('\x7d0c3a529b1e4f6a8c5527e4f1a06b3d'::bytea || convert_to(category, 'UTF8')
          || '\x00'::bytea || convert_to(name, 'UTF8')), 1, 16) as hash) as whole
$$;

-- An event's checksum without its version: the first eight bytes of a SHA-256. The column is this `#` the version.
create function stanchion_sum(stream uuid, event_id uuid, type text, data text, meta text) returns bigint
language sql immutable strict as $$
    select ('x' || encode(substr(sha256(uuid_send(stream) || uuid_send(event_id)
        || int8send(octet_length(t)) || t || int8send(octet_length(d)) || d || int8send(octet_length(m)) || m
        ), 1, 8), 'hex'))::bit(64)::bigint
    from (select convert_to(type, 'UTF8'), convert_to(data, 'UTF8'), convert_to(meta, 'UTF8')) as texts (t, d, m)
$$;

-- Writes a batch of the committer: events ($1 to $8, one of each for every event; $9 is their time), the names of new
-- streams ($10 to $12) and new inbox keys ($13 to $15; $14 is how many events of the batch come after the key's own).
-- Gives the position before the first event. In READ COMMITTED each statement sees what was committed before it began:
-- the position is read under the lock, and all earlier holders' rows are seen.
create function stanchion_write(
    uuid[], bigint[], uuid[], text[], text[], json[], json[], bigint[], timestamptz,
    uuid[], text[], text[], text[], bigint[], bytea[]
) returns bigint
language plpgsql as $$
declare
    base bigint;
begin
    perform pg_advisory_xact_lock(8274, to_regclass('event')::oid::int);
    select coalesce(max(position), 0) into base from event;
    insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum)
    select base + n, t.stream, t.version, t.event_id, t.category, t.type, t.data, t.meta, $9, t.checksum
    from unnest($1, $2, $3, $4, $5, $6, $7, $8)
        with ordinality as t (stream, version, event_id, category, type, data, meta, checksum, n);
    if cardinality($10) > 0 then
        insert into stream (stream, category, name) select * from unnest($10, $11, $12)
        on conflict (stream) do nothing;
    end if;
    if cardinality($13) > 0 then
        insert into inbox (key, position, answer, at)
        select t.key, base + cardinality($1) - t.back, t.answer, $9
        from unnest($13, $14, $15) as t (key, back, answer);
    end if;
    return base;
end
$$;

-- Appends events to one stream within the caller's own transaction, for programs that write their rows with another
-- library. Nothing is there before that transaction commits. Call it last, right before COMMIT, in READ COMMITTED: it
-- takes the log's lock, for which all appends wait until the transaction ends.
--
--     select * from orders.stanchion_append('order', '4711', 2, array['0192…']::uuid[], array['paid'],
--                                           array['{"cents": 1250}'])
--
-- expected: the version of the stream's last event; -1: the stream has none; null: whatever it is at.
-- event_ids, types, data: one of each for every event, 1 to 1,000; data is JSON. Choose the ids before the
-- transaction: the same ids again are success with the first answer, and nothing is written.
-- meta: JSON with correlation_id and, where known, causation_id (both UUIDs), principal and trace; null makes one.
-- Gives the last event's position in the log and its version in the stream.
--
-- Fails with SQLSTATE ES409 when the stream is not as expected, ES400 when an argument is wrong, 55P03 when the lock
-- was not had in 2 s. The transaction is then to be rolled back.
create function stanchion_append(
    category text, name text, expected bigint, event_ids uuid[], types text[], data text[], meta text default null
) returns table (log_position bigint, stream_version bigint)
language plpgsql
set search_path from current
set lock_timeout = '2s'
as $$
#variable_conflict use_variable
declare
    events constant bigint := coalesce(cardinality(event_ids), 0);
    key constant uuid := stanchion_stream(category, name);
    known record;
    head bigint;
    last bigint;
begin
    if events not between 1 and 1000 or events <> cardinality(types) or events <> cardinality(data)
        or array_position(event_ids, null) > 0 or array_position(types, null) > 0 or array_position(data, null) > 0 then
        raise exception 'event_ids, types and data must have the same number of values, 1 to 1,000'
            using errcode = 'ES400';
    end if;
    if key is null or octet_length(category) not between 1 and 64 or octet_length(name) not between 1 and 255
        or exists (select from unnest(types) as t (t) where octet_length(t.t) not between 1 and 128) then
        raise exception 'a category has 1 to 64 bytes, a name 1 to 255, a type 1 to 128' using errcode = 'ES400';
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'stanchion_append needs a transaction in read committed' using errcode = 'ES400';
    end if;
    meta := coalesce(meta, json_build_object('correlation_id', gen_random_uuid())::text);
    if (meta::json ->> 'correlation_id')::uuid is null or length((meta::json ->> 'causation_id')::uuid::text) <> 36 then
        raise exception 'meta needs a correlation_id' using errcode = 'ES400';
    end if;

    perform pg_advisory_xact_lock(8274, 'event'::regclass::oid::int);
    select e.stream, e.version, e.position into known from event as e where e.event_id = event_ids[1];
    if found then
        if known.stream <> key then
            raise exception 'an event of that id is in another stream' using errcode = 'ES400';
        end if;
        return query select known.position + events - 1, known.version + events - 1;
        return;
    end if;
    select coalesce(max(e.position), 0) into head from event as e;
    select coalesce(max(e.version), -1) into last from event as e where e.stream = key;
    if expected <> last then
        raise exception 'the stream %/% is at version %, not at %', category, name, last, expected
            using errcode = 'ES409';
    end if;
    insert into stream (stream, category, name) values (key, category, name) on conflict do nothing;
    insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum)
    select head + t.n, key, last + t.n, t.id, category, t.type, t.data::json, meta::json, clock_timestamp(),
           stanchion_sum(key, t.id, t.type, t.data, meta) # (last + t.n)
    from unnest(event_ids, types, data) with ordinality as t (id, type, data, n);
    perform pg_notify('stanchion_' || replace(feed.id::text, '-', ''), (head + events)::text) from feed;
    return query select head + events, last + events;
end
$$;
