-- How many mails told the former address of changes since it was left, and the last of them: there is an end to it.
alter table former_emails add column told bigint not null default 0;
alter table former_emails add column told_by uuid;
