-- As before, and the position of the batch's last event is left to the session: the hint that follows reads no table.
create or replace function stanchion_write(
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
    perform set_config('stanchion.head', (base + cardinality($1))::text, false);
    return base;
end
$$;

-- One event of a unit of work: the log's lock, the event's row and, where `name` is given, its stream's name. Another
-- version than `expected` (-1: the stream has none; null: whatever it is at) gives the row no version, which the table
-- refuses. `sum` is the checksum without the version. Called last before COMMIT, in READ COMMITTED, once for each event.
create function stanchion_record(
    stream uuid, expected bigint, event_id uuid, category text, name text, type text, data json, meta json,
    at timestamptz, sum bigint, out log_position bigint, out stream_version bigint
)
language plpgsql as $$
#variable_conflict use_variable
begin
    perform pg_advisory_xact_lock(8274, to_regclass('event')::oid::int);
    insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum)
    select (select coalesce(max(e.position), 0) + 1 from event as e), stream,
        case when expected is null or expected = last.version then last.version + 1 end,
        event_id, category, type, data, meta, at, sum # (last.version + 1)
    from (select coalesce(
        (select e.version from event as e where e.stream = stream order by e.version desc limit 1), -1
    ) as version) as last
    returning event.position, event.version into log_position, stream_version;
    if name is not null then
        insert into stream (stream, category, name) values (stream, category, name) on conflict do nothing;
    end if;
end
$$;
