-- Django's own record of what was done to the schema; nothing where there is none.
SELECT
    m.app::text AS app,
    m.name::text AS name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') THEN query_to_xml(
            format('SELECT app, name FROM %I.%I', n.nspname, c.relname), false, false, ''
        )
    END AS found
) AS q
CROSS JOIN LATERAL unnest(
    xpath('/table/row/app/text()', q.found), xpath('/table/row/name/text()', q.found)
) AS m (app, name)
WHERE c.relname = 'django_migrations' AND c.relkind = 'r' AND n.nspname !~ '^pg_'
