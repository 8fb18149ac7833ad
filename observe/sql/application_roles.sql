-- PostgreSQL 13 to 18. Who logs in as the application: the owner of its table of activity, or who acts for the owner.
-- A superuser may act for everybody, and is meant only as the owner.
SELECT r.rolname AS role
FROM pg_class AS c
JOIN pg_roles AS r ON r.oid = c.relowner OR (NOT r.rolsuper AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
WHERE c.oid = to_regclass('{activity}') AND r.rolcanlogin
ORDER BY 1
