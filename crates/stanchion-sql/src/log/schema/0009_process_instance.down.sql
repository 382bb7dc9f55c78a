drop table process_instance;
