drop table reset_requests;
drop table verified_emails;
drop table one_time_tokens;
