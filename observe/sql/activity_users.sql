-- Who did how much in a window: those who did most, and what nobody in particular did, which comes first.
-- Times without a zone are of the session's one, as in the guide's own comparison with NOW().
SELECT
    left(a.{activity_by}::text, 150) AS who,
    count(*) AS done,
    (sum(count(*)) OVER ())::bigint AS total,
    count(a.{activity_by}) OVER () AS users
FROM {activity} AS a
WHERE a.{activity_at} >= %(since)s::timestamptz AND a.{activity_at} < %(until)s::timestamptz
GROUP BY a.{activity_by}
ORDER BY a.{activity_by} IS NOT NULL, done DESC, a.{activity_by}
LIMIT 11
