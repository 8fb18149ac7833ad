SELECT
    'sequence' AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS thing,
    coalesce(o.of, '')::text AS parent,
    a.aspect::text AS aspect,
    coalesce(a.value, '')::text AS value
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS of, quote_ident(f.attname) AS of_column
    FROM pg_depend AS d
    JOIN pg_class AS t ON t.oid = d.refobjid
    JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    JOIN pg_attribute AS f ON f.attrelid = d.refobjid AND f.attnum = d.refobjsubid
    WHERE
        d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
) AS o ON true
CROSS JOIN LATERAL (
    VALUES
        ('type', format_type(s.seqtypid, NULL)),
        ('increment', s.seqincrement::text),
        ('range', s.seqmin::text || ' to ' || s.seqmax::text),
        ('start', s.seqstart::text),
        ('cache', s.seqcache::text),
        ('cycling', CASE WHEN s.seqcycle THEN 'on' ELSE 'off' END),
        ('owning column', o.of || '.' || o.of_column)
) AS a (aspect, value)
WHERE
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
