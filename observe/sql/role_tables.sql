-- PostgreSQL 13 to 18. Tables and views, but for those of extensions: whose they are, whether these roles have made them
-- or write into them, what every role there is may do with them, and whether their owner is above their row security.
SELECT
    n.nspname AS schema,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    o.rolname AS owner,
    o.rolcanlogin AS login,
    o.rolsuper AS superuser,
    o.rolname = ANY(%(roles)s::text []) AS own,
    EXISTS (
        SELECT
        FROM pg_roles AS r
        WHERE r.rolname = ANY(%(roles)s::text []) AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE')
    ) AS written,
    coalesce((
        SELECT string_agg(DISTINCT g.privilege_type, ', ')
        FROM aclexplode(c.relacl) AS g
        WHERE g.grantee = 0
    ), '') AS open,
    EXISTS (
        SELECT
        FROM pg_attribute AS t
        CROSS JOIN LATERAL aclexplode(t.attacl) AS g
        WHERE t.attrelid = c.oid AND NOT t.attisdropped AND g.grantee = 0
    ) AS open_columns,
    c.relrowsecurity AND NOT c.relforcerowsecurity AS above_policies
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_roles AS o ON o.oid = c.relowner
WHERE
    c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e
        WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
ORDER BY 1, 2
