-- pg_stat_statements 1.9 and later, which is PostgreSQL 14. Since when statements are counted, and how many were
-- forgotten since to make room for others.
SELECT stats_reset AS since, dealloc AS forgotten, now() AS now FROM {info}
