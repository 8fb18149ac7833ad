-- The size of this database with its indexes, in bytes. Needs CONNECT, or pg_read_all_stats.
SELECT current_database() AS name, pg_database_size(current_database()) AS size
