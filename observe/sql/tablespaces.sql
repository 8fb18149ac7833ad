-- PostgreSQL 13 to 18. Every tablespace in bytes, and where it lies: nowhere for the two in the data directory.
-- NULL where the role may not know.
SELECT
    t.spcname AS name,
    pg_tablespace_location(t.oid) AS location,
    CASE
        WHEN has_tablespace_privilege(t.oid, 'CREATE') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
            THEN pg_tablespace_size(t.oid)
    END AS size
FROM pg_tablespace AS t
ORDER BY t.spcname
