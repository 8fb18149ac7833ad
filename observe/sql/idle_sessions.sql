-- PostgreSQL 13 to 18. The clients' sessions, since when each is in its state, and its last statement.
-- Without pg_read_all_stats the backend_type of other roles' sessions is NULL.
SELECT
    pid,
    backend_type,
    coalesce(usename, '') AS role,
    coalesce(datname, '') AS database,
    coalesce(application_name, '') AS application,
    coalesce(client_addr::text, 'local') AS client,
    coalesce(state, '') AS state,
    current_timestamp - state_change AS since,
    left(coalesce(query, ''), 2000) AS query
FROM pg_stat_activity
WHERE backend_type = 'client backend' OR backend_type IS NULL
ORDER BY state_change
