alter table former_emails drop column told_by;
alter table former_emails drop column told;
