-- PostgreSQL 13 to 18. Foreign keys, and whether an index begins with their columns, in whatever order.
-- Only an index that is valid and can look for equality serves. A partial one does where it leaves out NULLs alone.
SELECT
    quote_ident(k.conname) AS name,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS "table",
    r.oid::regclass::text AS refers_to,
    (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.place)
        FROM unnest(k.conkey) WITH ORDINALITY AS o (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = o.attnum
    ) AS columns,
    greatest(coalesce(t.n_live_tup, 0), c.reltuples::bigint) AS rows,
    EXISTS (
        SELECT
        FROM pg_index AS i
        JOIN pg_class AS x ON x.oid = i.indexrelid
        JOIN pg_am AS m ON m.oid = x.relam
        WHERE
            i.indrelid = k.conrelid
            AND i.indisvalid
            AND i.indisready
            AND m.amname IN ('btree', 'hash')
            AND i.indnkeyatts >= array_length(k.conkey, 1)
            AND (i.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey
            AND (
                i.indpred IS NULL
                OR pg_get_expr(i.indpred, i.indrelid) IN (
                    SELECT format('(%I IS NOT NULL)', a.attname)
                    FROM pg_attribute AS a
                    WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                )
            )
    ) AS indexed
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS r ON r.oid = k.confrelid
LEFT JOIN pg_stat_user_tables AS t ON t.relid = c.oid
WHERE k.contype = 'f' AND c.relkind = 'r' AND n.nspname !~ '^pg_'
ORDER BY 5 DESC, 2, 1
