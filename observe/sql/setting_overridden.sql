-- PostgreSQL 13 to 18. What is set for single roles and databases, which wins over what the server's files say.
SELECT
    coalesce(d.datname, '') AS database,
    coalesce(r.rolname, '') AS role,
    split_part(o.item, '=', 2) AS value
FROM pg_db_role_setting AS s
CROSS JOIN LATERAL unnest(s.setconfig) AS o (item)
LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
LEFT JOIN pg_roles AS r ON r.oid = s.setrole
WHERE split_part(o.item, '=', 1) = %(name)s AND (s.setdatabase = 0 OR d.datname = current_database())
ORDER BY 1, 2
