drop index subject_by_master;
