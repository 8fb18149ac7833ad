-- What holds in this session, asked back rather than believed.
SELECT
    pg_backend_pid() AS pid,
    current_database() AS database,
    current_user AS role,
    current_setting('server_version_num')::int AS version,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('statement_timeout') AS statement_timeout,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all_sessions
