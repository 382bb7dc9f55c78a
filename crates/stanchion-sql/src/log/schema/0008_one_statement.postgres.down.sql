drop function stanchion_record(uuid, bigint, uuid, text, text, text, json, json, timestamptz, bigint);
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
    return base;
end
$$;
