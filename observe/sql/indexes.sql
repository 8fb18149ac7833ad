-- PostgreSQL 13 to 18. All indexes but those of the catalog and of temporary tables, and whether they can be used;
-- the hidden ones of long values only where they can't be.
-- While one of a table's indexes is built, others of it may rightly be unfinished (REINDEX CONCURRENTLY).
SELECT
    quote_ident(n.nspname) || '.' || quote_ident(x.relname) AS name,
    i.indrelid::regclass::text AS "table",
    x.relkind = 'I' AS of_partitions,
    i.indisvalid AND i.indisready AS valid,
    EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.relid = i.indrelid) AS being_built
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = x.relnamespace
WHERE
    n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND x.relpersistence <> 't'
    AND (n.nspname <> 'pg_toast' OR NOT i.indisvalid)
ORDER BY 1
