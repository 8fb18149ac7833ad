-- How this side writes names, and who its first superuser is: objects that nobody made belong to that one.
SELECT
    current_setting('server_version_num')::int AS version,
    current_database()::text AS database,
    current_schemas(false)::text[] AS path,
    pg_get_userbyid(10)::text AS first_superuser
