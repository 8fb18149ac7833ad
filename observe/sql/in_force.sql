-- What holds in this transaction, asked back rather than believed: through a pooler no session was set up.
SELECT
    current_setting('transaction_read_only') AS read_only,
    current_setting('transaction_isolation') AS isolation,
    current_setting('row_security') AS row_security,
    current_setting('statement_timeout') AS statement_timeout,
    current_setting('lock_timeout') AS lock_timeout
