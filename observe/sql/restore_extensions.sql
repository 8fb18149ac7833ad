-- Extensions and schemas.
SELECT 'extension' AS kind, quote_ident(x.extname) AS thing, '' AS parent, 'version' AS aspect, x.extversion::text AS value
FROM pg_extension AS x
UNION ALL
SELECT 'extension', quote_ident(x.extname), '', 'schema', n.nspname::text
FROM pg_extension AS x
JOIN pg_namespace AS n ON n.oid = x.extnamespace
UNION ALL
SELECT 'schema', quote_ident(n.nspname), '', '', ''
FROM pg_namespace AS n
WHERE
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e'
    )
