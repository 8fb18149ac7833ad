-- PostgreSQL 13 to 18. Since when the server has counted this database's scans and changes, and whether it does.
-- From 15 on a database that nobody has set back says NULL, also after a crash, which throws all counters away. The
-- writer's and the archiver's are set to the time of the crash then, or to that of initdb.
SELECT
    greatest(d.stats_reset, least(w.stats_reset, a.stats_reset)) AS since,
    now() AS now,
    current_setting('track_counts') AS counts
FROM pg_stat_database AS d, pg_stat_bgwriter AS w, pg_stat_archiver AS a
WHERE d.datname = current_database()
