-- PostgreSQL 10 and later. Without pg_read_all_stats the backend_type of other roles' sessions is NULL.
SELECT
    pid,
    backend_type,
    coalesce(usename, '') AS role,
    coalesce(datname, '') AS database,
    coalesce(application_name, '') AS application,
    coalesce(client_addr::text, 'local') AS client,
    coalesce(state, '') AS state
FROM pg_stat_activity
ORDER BY backend_start
