-- Whom the cluster knows: names alone. The first superuser is the one that a cluster is made with.
SELECT
    rolname AS role,
    oid = 10 AS first
FROM pg_roles
WHERE rolname !~ '^pg_'
ORDER BY oid
