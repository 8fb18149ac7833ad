-- pg_stat_statements 1.9 and later, which is PostgreSQL 14. How many statements of this database are known, and of how
-- many the text is hidden from the role.
SELECT
    count(*) AS statements,
    count(*) FILTER (WHERE s.queryid IS NULL) AS hidden,
    coalesce(sum(s.calls), 0)::bigint AS calls
FROM {statements} AS s
JOIN pg_database AS d ON d.oid = s.dbid
WHERE d.datname = current_database() AND s.toplevel
