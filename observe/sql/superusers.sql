-- Django's administrators. Of those who can't log in the password isn't read.
SELECT
    username,
    first_name,
    last_name,
    email,
    is_active,
    CASE WHEN is_active THEN password END AS password
FROM {users}
WHERE is_superuser
ORDER BY username
