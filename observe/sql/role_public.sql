-- PostgreSQL 13 to 18. Where every role there is may make something: in which schemas, and whether in the database. No
-- list of rights means the usual ones, which are written out here.
SELECT
    'schema' AS kind,
    n.nspname::text AS name,
    EXISTS (
        SELECT
        FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS g
        WHERE g.grantee = 0 AND g.privilege_type = 'CREATE'
    ) AS open
FROM pg_namespace AS n
WHERE n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT
    'database',
    d.datname::text,
    EXISTS (
        SELECT
        FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS g
        WHERE g.grantee = 0 AND g.privilege_type = 'CREATE'
    )
FROM pg_database AS d
WHERE d.datname = current_database()
ORDER BY 1, 2
