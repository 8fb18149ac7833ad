-- Django's users: those who may log in, and all.
SELECT count(*) FILTER (WHERE u.is_active) AS active, count(*) AS total FROM {users} AS u
