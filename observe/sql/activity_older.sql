-- How many rows are older than a moment. Times without a zone are of the session's one.
SELECT count(*) AS rows FROM {activity} AS a WHERE a.{activity_at} < %(since)s::timestamptz
