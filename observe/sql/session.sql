-- What holds in this session, asked back rather than believed.
SELECT
    pg_backend_pid() AS pid,
    current_database() AS database,
    current_user AS role,
    current_setting('server_version_num')::int AS version,
    -- Of the session, not of the transaction that this is asked in, which is read-only by its own BEGIN.
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('default_transaction_isolation') AS isolation,
    current_setting('row_security') AS row_security,
    current_setting('statement_timeout') AS statement_timeout,
    current_setting('lock_timeout') AS lock_timeout,
    (SELECT concat_ws(' ', version, cipher) FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all_sessions
