-- PostgreSQL 13 to 18. How many clients may be connected, and how many of these places are kept for whom.
-- Only since PostgreSQL 16 some are kept for a role; before, the setting isn't there and NULL.
SELECT
    current_setting('max_connections')::int AS most,
    current_setting('superuser_reserved_connections')::int AS for_superusers,
    current_setting('reserved_connections', true)::int AS for_a_role
