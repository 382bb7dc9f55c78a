drop function stanchion_write(uuid[], bigint[], uuid[], text[], text[], json[], json[], bigint[], timestamptz,
    uuid[], text[], text[], text[], bigint[], bytea[]);
drop function stanchion_append(text, text, bigint, uuid[], text[], text[], text);
drop function stanchion_sum(uuid, uuid, text, text, text);
drop function stanchion_stream(text, text);
drop table parked;
drop table checkpoint;
drop table timer;
drop table inbox;
drop table event;
drop table stream;
drop table feed;
