-- PostgreSQL 13 to 18. Who is logged in as what, and from where. Without pg_read_all_stats the kind of other roles'
-- sessions is NULL.
SELECT
    a.backend_type,
    coalesce(a.usename, '') AS role,
    coalesce(split_part(a.client_addr::text, '/', 1), '') AS client,
    coalesce(a.datname, '') AS database
FROM pg_stat_activity AS a
ORDER BY a.backend_start
