-- PostgreSQL 13 to 18. A setting as it is in force in this session, and where it comes from.
SELECT setting, source, coalesce(sourcefile, '') AS file, boot_val AS built_in FROM pg_settings WHERE name = %(name)s
