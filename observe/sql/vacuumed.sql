-- PostgreSQL 13 to 18. Dead rows, and when each table was last analyzed, by hand or by itself.
SELECT
    quote_ident(t.schemaname) || '.' || quote_ident(t.relname) AS name,
    greatest(t.n_live_tup, c.reltuples::bigint) AS rows,
    t.n_dead_tup AS dead,
    t.n_mod_since_analyze AS changed,
    greatest(t.last_analyze, t.last_autoanalyze) AS analyzed,
    'autovacuum_enabled=false' = ANY (c.reloptions) IS TRUE AS switched_off
FROM pg_stat_user_tables AS t
JOIN pg_class AS c ON c.oid = t.relid
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
ORDER BY t.n_dead_tup DESC, name
