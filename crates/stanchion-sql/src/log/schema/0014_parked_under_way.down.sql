alter table parked drop column under_way_until;
