-- PostgreSQL 13 to 18. Who belongs, by itself or through others, to a role that may do something to the server or read,
-- write or run what lies on its machine. A member need not inherit that: it may make itself the other. A superuser
-- belongs to everything, and is said to be one elsewhere.
SELECT
    m.rolname AS role,
    r.rolname AS belongs_to,
    concat_ws(
        ', ',
        CASE WHEN r.rolsuper THEN 'a superuser' END,
        CASE WHEN r.rolcreaterole THEN 'makes roles' END,
        CASE WHEN r.rolcreatedb THEN 'makes databases' END,
        CASE WHEN r.rolreplication THEN 'replicates' END,
        CASE WHEN r.rolbypassrls THEN 'passes by row security' END,
        CASE r.rolname
            WHEN 'pg_execute_server_program' THEN 'runs programs on the server'
            WHEN 'pg_read_server_files' THEN 'reads files of the server'
            WHEN 'pg_write_server_files' THEN 'writes files of the server'
        END
    ) AS may
FROM pg_roles AS m
JOIN pg_roles AS r ON r.oid <> m.oid
WHERE
    m.rolcanlogin
    AND NOT m.rolsuper
    AND (
        r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
        OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
    )
    AND pg_has_role(m.oid, r.oid, 'MEMBER')
ORDER BY 1, 2
