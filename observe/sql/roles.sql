-- PostgreSQL 13 to 18. The roles that people made and the one that the cluster was made with: whether they may log in,
-- and what they may do to the server.
SELECT
    r.rolname AS role,
    r.rolcanlogin AS login,
    r.rolsuper AS superuser,
    r.rolcreaterole AS makes_roles,
    r.rolcreatedb AS makes_databases,
    r.rolreplication AS replicates,
    r.rolbypassrls AS passes_row_security,
    r.rolconnlimit AS connections,
    coalesce(r.rolvaliduntil::text, '') AS until,
    coalesce(r.rolvaliduntil <= now(), false) AS expired
FROM pg_roles AS r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
