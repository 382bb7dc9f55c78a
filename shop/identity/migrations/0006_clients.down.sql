drop table revoked_tokens;
drop table clients;
