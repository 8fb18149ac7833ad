-- pg_stat_statements 1.9 and later, which is PostgreSQL 14. Statements of this database that gave a row or none each
-- time, of all roles but this session's own, unless that is the application's as well. Only what a client sent: what
-- functions and triggers ask isn't among it; the check of a foreign key is a statement of a trigger's, but counts as a
-- client's where it is deferred to the end of the transaction, as Django has them. What reads no table (a SELECT 1 of a health check) is no lookup.
-- From 1.11 on, which is PostgreSQL 17, each statement knows since when it is counted.
SELECT
    r.rolname AS role,
    left(regexp_replace(left(s.query, 2000), '\s+', ' ', 'g'), 300) AS query,
    s.calls,
    s.rows,
    s.total_exec_time / s.calls AS milliseconds,
    (to_jsonb(s) ->> 'stats_since')::timestamptz AS since
FROM {statements} AS s
JOIN pg_roles AS r ON r.oid = s.userid
JOIN pg_database AS d ON d.oid = s.dbid
WHERE
    d.datname = current_database()
    AND s.toplevel
    AND s.calls > 0
    AND s.rows <= s.calls
    AND s.query ~* '^\s*((/\*.*?\*/|--[^\n]*\n)\s*)*SELECT\M'
    AND s.query ~* '\mFROM\M'
    AND s.query !~ 'OPERATOR\(pg_catalog\.=\) .* FOR KEY SHARE OF x$'
    AND (r.rolname <> current_user OR %(own)s)
ORDER BY s.calls DESC, query
LIMIT 200
