alter table products drop column restocked_at;
