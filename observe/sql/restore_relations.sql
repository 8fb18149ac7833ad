-- Tables, views and what else has columns. What belongs to an extension comes with it, here and below.
SELECT
    CASE c.relkind
        WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' ELSE 'foreign table'
    END AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS thing,
    '' AS parent,
    a.aspect::text AS aspect,
    coalesce(a.value, '')::text AS value
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    VALUES
        ('persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END),
        ('row security', CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' ELSE 'off' END),
        ('options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) AS o)),
        ('partition key', CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END),
        ('parent', concat_ws(' ', (
            SELECT string_agg(quote_ident(pn.nspname) || '.' || quote_ident(p.relname), ', ' ORDER BY i.inhseqno)
            FROM pg_inherits AS i
            JOIN pg_class AS p ON p.oid = i.inhparent
            JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
            WHERE i.inhrelid = c.oid
        ), CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END)),
        ('query', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
) AS a (aspect, value)
WHERE
    c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    )
