-- pg_stat_statements of any version. How many statements were run as each role, in all databases.
SELECT
    r.rolname AS role,
    sum(s.calls)::bigint AS calls
FROM {statements} AS s
JOIN pg_roles AS r ON r.oid = s.userid
GROUP BY r.rolname
ORDER BY r.rolname
