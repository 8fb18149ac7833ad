-- What each sequence gives next, and how far the columns are that it is for: owned, identity, or by their default.
SELECT DISTINCT
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS thing,
    quote_ident(tn.nspname) || '.' || quote_ident(t.relname) || '.' || quote_ident(f.attname) AS for_column,
    s.seqincrement::bigint AS increment,
    (xpath('/row/v/text()', v.now))[1]::text::bigint AS value,
    ((xpath('/row/c/text()', v.now))[1]::text = 'true') AS called,
    CASE
        WHEN s.seqincrement > 0 THEN (xpath('/row/most/text()', v.far))[1]::text::numeric::bigint
        ELSE (xpath('/row/least/text()', v.far))[1]::text::numeric::bigint
    END AS furthest
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN LATERAL (
    SELECT d.refobjid AS of, d.refobjsubid AS number
    FROM pg_depend AS d
    WHERE
        d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT a.adrelid, a.adnum::int
    FROM pg_depend AS d
    JOIN pg_attrdef AS a ON a.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
) AS u ON true
JOIN pg_class AS t ON t.oid = u.of
JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_attribute AS f ON f.attrelid = u.of AND f.attnum = u.number AND f.atttypid IN (20, 21, 23, 1700)
CROSS JOIN LATERAL (
    SELECT
        query_to_xml(
            format('SELECT last_value AS v, is_called AS c FROM %I.%I', n.nspname, c.relname), false, true, ''
        ) AS now,
        query_to_xml(
            format(
                'SELECT max(%I) AS most, min(%I) AS least FROM %I.%I', f.attname, f.attname, tn.nspname, t.relname
            ),
            false, true, ''
        ) AS far
) AS v
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND t.relkind IN ('r', 'p')
