-- PostgreSQL 13 to 18. What a reload would find in the server's files. Needs rights that pg_monitor hasn't.
SELECT coalesce(setting, '') AS value, sourcefile AS file, applied, coalesce(error, '') AS error
FROM pg_file_settings
WHERE name = %(name)s
ORDER BY seqno
