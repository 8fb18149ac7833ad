-- How much was done by how many, in each of two months and on each of their days, in one pass.
-- Months and days are given by their borders, aware: a day of 23 hours is one, whatever zones the server knows.
SELECT
    GROUPING(b.day) = 1 AS whole,
    b.month,
    b.day,
    count(*) AS calls,
    count(DISTINCT b.who) AS users,
    count(*) FILTER (WHERE b.who IS NULL) AS anonymous
FROM (
    SELECT
        width_bucket(a.{activity_at}::timestamptz, %(months)s::timestamptz[]) AS month,
        width_bucket(a.{activity_at}::timestamptz, %(days)s::timestamptz[]) AS day,
        a.{activity_by} AS who
    FROM {activity} AS a
    WHERE a.{activity_at} >= %(since)s::timestamptz AND a.{activity_at} < %(until)s::timestamptz
) AS b
GROUP BY GROUPING SETS ((b.month), (b.month, b.day))
ORDER BY whole DESC, b.month, b.day
