drop table order_summaries;
