-- Triggers, policies and rules, each of one table, and the triggers of events.
SELECT
    o.kind::text AS kind,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(o.name) AS thing,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS parent,
    'source' AS aspect,
    o.value::text AS value
FROM (
    SELECT
        'trigger' AS kind,
        t.tgrelid AS of,
        t.tgname AS name,
        pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text AS value
    FROM pg_trigger AS t
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT
        'policy',
        y.polrelid,
        y.polname,
        concat_ws(
            ' / ',
            y.polcmd::text,
            CASE WHEN y.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ', ' ORDER BY pg_get_userbyid(r))
             FROM unnest(y.polroles) AS r),
            'using ' || pg_get_expr(y.polqual, y.polrelid),
            'check ' || pg_get_expr(y.polwithcheck, y.polrelid)
        )
    FROM pg_policy AS y
    UNION ALL
    SELECT 'rule', w.ev_class, w.rulename, pg_get_ruledef(w.oid) || ' enabled ' || w.ev_enabled::text
    FROM pg_rewrite AS w
    WHERE w.rulename <> '_RETURN'
) AS o
JOIN pg_class AS c ON c.oid = o.of
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
    )
UNION ALL
SELECT
    'event trigger',
    quote_ident(v.evtname),
    '',
    'source',
    concat_ws(' / ', v.evtevent, v.evtenabled, array_to_string(v.evttags, ', '), v.evtfoid::regproc)
FROM pg_event_trigger AS v
WHERE NOT EXISTS (
    SELECT FROM pg_depend AS e WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = v.oid AND e.deptype = 'e'
)
