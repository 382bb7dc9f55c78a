alter table lease drop column granted_at;
