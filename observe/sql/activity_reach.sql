-- From when to when the table goes, and what kind of time its column holds.
SELECT
    (SELECT min(a.{activity_at})::timestamptz FROM {activity} AS a) AS oldest,
    (
        SELECT max(a.{activity_at})::timestamptz
        FROM {activity} AS a
        WHERE a.{activity_at} < %(until)s::timestamptz
    ) AS newest,
    pg_typeof((SELECT max(a.{activity_at}) FROM {activity} AS a))::text AS kind,
    current_setting('TimeZone') AS zone
