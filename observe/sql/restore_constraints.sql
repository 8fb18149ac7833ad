-- NOT NULL stands with the columns, and constraint triggers with the triggers.
SELECT
    'constraint' AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(k.conname) AS thing,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS parent,
    'definition' AS aspect,
    pg_get_constraintdef(k.oid)::text AS value
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    k.contype NOT IN ('n', 't')
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
