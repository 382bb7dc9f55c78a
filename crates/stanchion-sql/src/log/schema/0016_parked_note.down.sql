alter table parked drop column note;
