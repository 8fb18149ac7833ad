SELECT
    'column' AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(t.attname) AS thing,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS parent,
    a.aspect::text AS aspect,
    coalesce(a.value, '')::text AS value
FROM pg_attribute AS t
JOIN pg_class AS c ON c.oid = t.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef AS d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
LEFT JOIN pg_collation AS l ON l.oid = t.attcollation
LEFT JOIN pg_type AS y ON y.oid = t.atttypid
CROSS JOIN LATERAL (
    VALUES
        ('type', format_type(t.atttypid, t.atttypmod)),
        ('nullability', CASE WHEN t.attnotnull THEN 'not null' ELSE 'null' END),
        ('default', CASE t.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END),
        ('identity', CASE t.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END),
        ('generation', CASE t.attgenerated
            WHEN 's' THEN 'stored ' || pg_get_expr(d.adbin, d.adrelid)
            WHEN 'v' THEN 'virtual ' || pg_get_expr(d.adbin, d.adrelid)
        END),
        ('collation', CASE WHEN t.attcollation <> y.typcollation THEN l.collname END)
) AS a (aspect, value)
WHERE
    t.attnum > 0 AND NOT t.attisdropped
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
