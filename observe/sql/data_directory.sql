-- PostgreSQL 13 to 18. Where the cluster's files lie, on the server; no row without pg_read_all_settings.
SELECT setting AS place FROM pg_settings WHERE name = 'data_directory'
