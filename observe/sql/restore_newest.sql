-- The newest row of activity, in UTC, and how many there are.
SELECT
    to_char(max({activity_at})::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS newest,
    count(*) AS rows
FROM {activity}
