-- Until the transaction ends. Reads nothing and changes nothing but how long we are let wait.
SELECT set_config('statement_timeout', %(milliseconds)s, true)
