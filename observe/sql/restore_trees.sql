-- The indexes that can be checked, and whether amcheck can be had: in which schema it is, if it is there already.
SELECT
    x.oid::bigint AS oid,
    quote_ident(n.nspname) || '.' || quote_ident(x.relname) AS thing,
    m.amname::text AS method,
    coalesce(i.indisvalid AND i.indisready, false) AS usable,
    EXISTS (SELECT FROM pg_available_extensions AS v WHERE v.name = 'amcheck') AS amcheck
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_am AS m ON m.oid = x.relam
JOIN pg_namespace AS n ON n.oid = x.relnamespace
WHERE x.relkind = 'i' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
