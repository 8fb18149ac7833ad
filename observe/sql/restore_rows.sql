-- Every table's rows, as they are in this statement's own snapshot. A partitioned table's rows are its partitions'.
-- Counted is what this role may read in full: where row security hides rows from it, the number would be another one.
SELECT
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS thing,
    c.may AS may,
    CASE
        WHEN c.may = 'read' THEN (xpath(
            '/row/c/text()',
            query_to_xml(format('SELECT count(*) AS c FROM ONLY %I.%I', n.nspname, c.relname), false, true, '')
        ))[1]::text::bigint
    END AS rows
FROM (
    SELECT
        t.relname,
        t.relnamespace,
        CASE
            WHEN NOT has_schema_privilege(t.relnamespace, 'USAGE') THEN 'not use its schema'
            WHEN NOT has_any_column_privilege(t.oid, 'SELECT') THEN 'not read it'
            WHEN row_security_active(t.oid) THEN 'not see all of its rows'
            WHEN NOT t.relispopulated THEN 'not be asked before it is filled'
            ELSE 'read'
        END AS may
    FROM pg_class AS t
    WHERE
        t.relkind IN ('r', 'm')
        AND NOT EXISTS (
            SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = t.oid AND e.deptype = 'e'
        )
) AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
