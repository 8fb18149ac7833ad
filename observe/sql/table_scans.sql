-- PostgreSQL 13 to 18. How often each table was read from end to end, and how often by an index.
-- A scan that ends early (LIMIT, EXISTS) counts as one there, and one by parallel workers as several, so that the rows
-- that all of them read are asked for beside it.
SELECT
    quote_ident(t.schemaname) || '.' || quote_ident(t.relname) AS name,
    greatest(t.n_live_tup, c.reltuples::bigint) AS rows,
    t.seq_scan AS sequential,
    t.seq_tup_read AS sequential_rows,
    coalesce(t.idx_scan, 0) AS by_index
FROM pg_stat_user_tables AS t
JOIN pg_class AS c ON c.oid = t.relid
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
ORDER BY t.seq_tup_read DESC, name
