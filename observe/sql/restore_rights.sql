-- Owners, and what each role may do. No list of rights means the usual ones, which are written out here.
WITH things AS (
    SELECT
        CASE c.relkind
            WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'foreign table'
        END AS kind,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS thing,
        c.relowner AS owner,
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl,
        'pg_class'::regclass AS class,
        c.oid AS oid,
        n.nspname AS schema
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
        quote_ident(n.nspname) || '.' || quote_ident(p.proname)
        || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        p.proowner,
        coalesce(p.proacl, acldefault('f', p.proowner)),
        'pg_proc'::regclass,
        p.oid,
        n.nspname
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    UNION ALL
    SELECT
        'type',
        quote_ident(n.nspname) || '.' || quote_ident(t.typname),
        t.typowner,
        coalesce(t.typacl, acldefault('T', t.typowner)),
        'pg_type'::regclass,
        t.oid,
        n.nspname
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')
    UNION ALL
    SELECT
        'schema',
        quote_ident(n.nspname),
        n.nspowner,
        coalesce(n.nspacl, acldefault('n', n.nspowner)),
        'pg_namespace'::regclass,
        n.oid,
        n.nspname
    FROM pg_namespace AS n
),

ours AS (
    SELECT t.*
    FROM things AS t
    WHERE
        t.schema !~ '^pg_' AND t.schema <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_depend AS e WHERE e.classid = t.class AND e.objid = t.oid AND e.deptype = 'e'
        )
)

SELECT o.kind::text AS kind, o.thing::text AS thing, '' AS parent, 'owner' AS aspect, pg_get_userbyid(o.owner)::text AS role
FROM ours AS o
UNION ALL
SELECT
    'right',
    g.privilege_type || ' on ' || o.kind || ' ' || o.thing,
    o.thing,
    CASE WHEN g.is_grantable THEN 'to pass on' ELSE 'plain' END,
    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END
FROM ours AS o
CROSS JOIN LATERAL aclexplode(o.acl) AS g
UNION ALL
SELECT
    'right',
    g.privilege_type || ' on column ' || o.thing || '.' || quote_ident(a.attname),
    o.thing,
    CASE WHEN g.is_grantable THEN 'to pass on' ELSE 'plain' END,
    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END
FROM ours AS o
JOIN pg_attribute AS a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL aclexplode(a.attacl) AS g
WHERE o.class = 'pg_class'::regclass
UNION ALL
SELECT
    'right',
    concat_ws(
        ' ',
        g.privilege_type,
        'on what',
        pg_get_userbyid(d.defaclrole),
        'makes of kind',
        d.defaclobjtype::text,
        'in schema ' || quote_ident(n.nspname)
    ),
    '',
    CASE WHEN g.is_grantable THEN 'to pass on' ELSE 'plain' END,
    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END
FROM pg_default_acl AS d
LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS g
