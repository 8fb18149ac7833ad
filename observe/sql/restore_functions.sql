SELECT
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(p.proname)
    || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS thing,
    '' AS parent,
    'source' AS aspect,
    CASE p.prokind
        WHEN 'a' THEN coalesce(pg_get_function_result(p.oid), '') || ' by ' || coalesce((
            SELECT g.aggtransfn::regproc::text FROM pg_aggregate AS g WHERE g.aggfnoid = p.oid
        ), '')
        ELSE pg_get_functiondef(p.oid)
    END::text AS value
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    )
