-- PostgreSQL 13 to 18. How many transactions, and sets of row lockers, have passed since each database's oldest is frozen.
-- The numbers are the whole server's: the database that is furthest behind stops all of them.
SELECT
    datname AS database,
    age(datfrozenxid)::bigint AS transactions,
    mxid_age(datminmxid)::bigint AS multixacts
FROM pg_database
ORDER BY 2 DESC, 1
