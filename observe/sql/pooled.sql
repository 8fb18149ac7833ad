-- Until the transaction ends, as SET LOCAL: what a session of ours begins with where nobody stands between.
SELECT
    set_config('statement_timeout', %(milliseconds)s, true),
    set_config('lock_timeout', %(milliseconds)s, true),
    set_config('row_security', 'off', true),
    set_config('application_name', %(application)s, true)
