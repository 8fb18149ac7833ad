-- PostgreSQL 13 to 18. How each role's password is stored: the kind alone, the hash never leaves the server.
SELECT
    a.rolname AS role,
    a.rolcanlogin AS login,
    CASE
        WHEN a.rolpassword ~ '^SCRAM-SHA-256\$' THEN 'SCRAM-SHA-256'
        WHEN a.rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'MD5'
        ELSE 'something unknown'
    END AS kind
FROM pg_authid AS a
WHERE a.rolpassword IS NOT NULL
ORDER BY a.rolname
