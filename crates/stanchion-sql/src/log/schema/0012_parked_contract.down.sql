alter table parked drop column contract;
