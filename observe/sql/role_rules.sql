-- PostgreSQL 13 to 18. Who is let in how, as pg_hba.conf has it now; loaded or not. Of a rule's options nothing is read
-- but whether it asks for a certificate: some hold passwords. The file is named since PostgreSQL 16.
SELECT
    coalesce(to_jsonb(h) ->> 'file_name', '') AS file,
    h.line_number AS line,
    coalesce(h.type, '') AS type,
    coalesce(array_to_string(h.database, ','), '') AS database,
    coalesce(array_to_string(h.user_name, ','), '') AS role,
    concat_ws(' ', h.address, h.netmask) AS address,
    coalesce(h.auth_method, '') AS method,
    coalesce(array_to_string(h.options, ' '), '') ~ 'clientcert=' AS certificate,
    coalesce(h.error, '') AS error
FROM pg_hba_file_rules AS h
ORDER BY h.line_number
