-- An append of which a part is in the log already was told as done, and the rest of it was lost.
create or replace function stanchion_append(
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
    there bigint;
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
    -- Of a repeat all are there, one after the other from the first on; of what is new, none.
    select count(*) into there from unnest(event_ids) with ordinality as t (id, n)
    join event as e on e.event_id = t.id
    where known.stream is null or e.stream = known.stream and e.position = known.position + t.n - 1;
    if known.stream <> key then
        raise exception 'an event of that id is in another stream' using errcode = 'ES400';
    end if;
    if there <> (case when known.stream is null then 0 else events end) then
        raise exception 'some of these events are in the log already, and others are not: choose the ids of an append once'
            using errcode = 'ES400';
    end if;
    if known.stream is not null then
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
