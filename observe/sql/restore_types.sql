SELECT
    'type' AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS thing,
    '' AS parent,
    'definition' AS aspect,
    CASE t.typtype
        WHEN 'e' THEN 'one of ' || coalesce((
            SELECT string_agg(l.enumlabel, ', ' ORDER BY l.enumsortorder) FROM pg_enum AS l WHERE l.enumtypid = t.oid
        ), 'nothing')
        WHEN 'd' THEN concat_ws(
            ' ',
            format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typnotnull THEN 'not null' END,
            'default ' || t.typdefault,
            (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' ORDER BY k.conname)
             FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype <> 'n')
        )
        WHEN 'c' THEN coalesce((
            SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        ), 'nothing')
        ELSE 'range of ' || coalesce((
            SELECT format_type(r.rngsubtype, NULL) FROM pg_range AS r WHERE r.rngtypid = t.oid
        ), 'nothing')
    END::text AS value
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE
    (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e'
    )
