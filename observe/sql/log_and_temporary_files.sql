-- PostgreSQL 13 to 18. The bytes of the write-ahead log's files, and of the temporary ones. Needs pg_monitor.
SELECT
    (SELECT coalesce(sum(w.size), 0)::bigint FROM pg_ls_waldir() AS w) AS log,
    (SELECT coalesce(sum(t.size), 0)::bigint FROM pg_ls_tmpdir() AS t) AS temporary
