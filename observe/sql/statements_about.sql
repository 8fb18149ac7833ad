-- PostgreSQL 13 to 18. Whether statements are counted, and how; nothing of a module that isn't loaded.
SELECT
    current_setting('pg_stat_statements.track', true) AS track,
    (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preloaded,
    e.extversion AS version,
    n.nspname AS schema
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_extension AS e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace
