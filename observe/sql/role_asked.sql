-- PostgreSQL 13 to 18. What of the rules and passwords may be asked here, how passwords are stored that are set from
-- now on, and when the server last read its files.
SELECT
    has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
    AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS rules,
    has_column_privilege('pg_catalog.pg_authid', 'rolname', 'SELECT')
    AND has_column_privilege('pg_catalog.pg_authid', 'rolcanlogin', 'SELECT')
    AND has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT') AS passwords,
    current_setting('password_encryption') AS stored_as,
    pg_conf_load_time() AS loaded
