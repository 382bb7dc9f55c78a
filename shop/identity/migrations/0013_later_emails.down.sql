drop table later_emails;
