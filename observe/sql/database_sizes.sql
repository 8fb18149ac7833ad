-- PostgreSQL 13 to 18. Every database in bytes, whatever tablespace it lies in; NULL where the role may not know.
SELECT
    d.datname AS name,
    CASE
        WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
            THEN pg_database_size(d.oid)
    END AS size
FROM pg_database AS d
ORDER BY d.datname
