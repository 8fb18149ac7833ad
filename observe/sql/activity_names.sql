-- What some users are called, and nothing else of them.
SELECT u.id::text AS who, left(u.username::text, 150) AS name
FROM {users} AS u
WHERE u.id::text = ANY(%(who)s::text[])
