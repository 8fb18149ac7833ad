-- PostgreSQL 13 to 18. This database's ten largest tables in bytes, the system's own left out, beside how many there
-- are and what all of them take. A partitioned table is all of its partitions. The rows are the planner's estimate,
-- NULL where a part was never counted. Sizes need no right, but wait for whoever holds a table for himself.
SELECT
    t.schema,
    t.name,
    count(*) AS parts,
    CASE WHEN min(t.rows) >= 0 THEN sum(t.rows)::bigint END AS rows,
    sum(t.total)::bigint AS total,
    sum(t.indexes)::bigint AS indexes,
    sum(t.toast)::bigint AS toast,
    count(*) OVER () AS tables,
    (sum(sum(t.total)) OVER ())::bigint AS all_total
FROM (
    SELECT
        n.nspname AS schema,
        r.relname AS name,
        r.oid AS root,
        -- Before PostgreSQL 14 there are 0 rows in what was never counted.
        CASE
            WHEN c.reltuples = 0 AND c.relpages = 0 AND pg_relation_size(c.oid) > 0 THEN -1
            ELSE c.reltuples
        END AS rows,
        coalesce(pg_total_relation_size(c.oid), 0) AS total,
        coalesce(pg_indexes_size(c.oid), 0) AS indexes,
        coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS toast
    FROM pg_class AS c
    INNER JOIN pg_class AS r
        ON r.oid = CASE WHEN c.relispartition THEN pg_partition_root(c.oid) ELSE c.oid END
    INNER JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
) AS t
GROUP BY t.schema, t.name, t.root
ORDER BY sum(t.total) DESC, t.schema, t.name
LIMIT 10
