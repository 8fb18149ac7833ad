-- What a like database is made with. Columns that only some versions have are read by name.
SELECT
    current_setting('server_version_num')::int AS version,
    d.datname::text AS database,
    pg_encoding_to_char(d.encoding)::text AS encoding,
    to_jsonb(d) ->> 'datcollate' AS collate,
    to_jsonb(d) ->> 'datctype' AS ctype,
    coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
    to_jsonb(d) ->> 'daticurules' AS icu_rules,
    pg_database_size(d.oid) AS size
FROM pg_database AS d
WHERE d.datname = current_database()
