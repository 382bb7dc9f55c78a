drop table __table__;
