-- An index that is invalid is in no dump, unless it is a partitioned table's.
SELECT
    'index' AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(x.relname) AS thing,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS parent,
    a.aspect::text AS aspect,
    coalesce(a.value, '')::text AS value
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = x.relnamespace
CROSS JOIN LATERAL (
    VALUES
        ('definition', pg_get_indexdef(i.indexrelid)),
        ('state', CASE
            WHEN NOT i.indislive THEN 'being dropped'
            WHEN NOT i.indisready THEN 'not ready'
            WHEN i.indisvalid THEN 'valid'
            WHEN x.relkind = 'I' THEN 'waiting for its partitions'
            ELSE 'invalid'
        END),
        ('use', concat_ws(
            ', ',
            CASE WHEN i.indisprimary THEN 'primary key' END,
            CASE WHEN i.indisreplident THEN 'replica identity' END,
            CASE WHEN i.indisclustered THEN 'clustering' END
        ))
) AS a (aspect, value)
WHERE
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
