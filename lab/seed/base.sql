-- People and what they work on, all there from the first day. Values in @...@ come from lab/history.py.
CREATE FUNCTION pg_temp.pick(n bigint, salt text, k integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashtext(n::text || salt) & 2147483647) % k $$;

-- Nobody knows these passwords, so random bytes do for their hashes.
INSERT INTO auth_user (username, first_name, last_name, email, password, is_superuser, is_staff, is_active, date_joined)
SELECT name, initcap(name), initcap(reverse(name)), name || '@@domain@',
       'pbkdf2_sha256$720000$' || substr(md5(name || 'salt'), 1, 22) || '$'
           || encode(sha256(convert_to(name || gen_random_uuid()::text, 'UTF8')), 'base64'),
       false, false, true, timestamptz '@start@' + make_interval(days => pg_temp.pick(n, 'joined', 20))
FROM unnest(ARRAY['alma', 'bjorn', 'carla', 'david', 'edith', 'felix', 'greta', 'hugo', 'ines', 'jonas', 'karin',
                  'lukas', 'marta', 'nils', 'olga', 'pavel', 'rosa', 'stefan', 'tilda', 'ulrich', 'vera', 'walter',
                  'xenia', 'yusuf', 'zoe', 'amir', 'britta', 'cyril', 'dora', 'emil', 'frida', 'gustav', 'helena',
                  'ivan', 'julia', 'klaus', 'lena']) WITH ORDINALITY AS people (name, n)
ORDER BY n;

INSERT INTO auth_user (username, first_name, last_name, email, password, is_superuser, is_staff, is_active, date_joined)
VALUES ('mira', 'Mira', 'Arim', 'mira@@domain@', '@member_hash@', false, false, true, '@start@'),
       ('oskar', 'Oskar', 'Raksoson', 'oskar@@domain@', '@admin_hash@', true, true, true, '@start@'),
       ('signe', 'Signe', 'Engis', 'signe@@domain@', '@deputy_hash@', true, true, true, '@start@');

INSERT INTO api_userprofile (user_id, display_name, time_zone, biography)
SELECT id, first_name || ' ' || last_name, 'UTC', '' FROM auth_user ORDER BY id;
INSERT INTO api_userpreference (user_id, name, value)
SELECT u.id, p.name, p.value FROM auth_user u,
    (VALUES ('theme', 'dark'), ('digest', 'weekly'), ('start_page', 'board')) p (name, value) ORDER BY u.id, p.name;

INSERT INTO api_team (name, created_at)
SELECT name, '@start@' FROM unnest(ARRAY['Design', 'Platform', 'Support', 'Field', 'Research']) name;
INSERT INTO api_teammember (team_id, user_id, role)
SELECT 1 + id % 5, id, CASE WHEN id % 8 = 0 THEN 'lead' ELSE 'member' END FROM auth_user ORDER BY id;
INSERT INTO api_project (team_id, name, description, archived, created_at)
SELECT 1 + n % 5, 'Project ' || n, 'What project ' || n || ' is about.', n = 12, '@start@' FROM generate_series(1, 12) n;
INSERT INTO api_board (project_id, name) SELECT id, 'Main' FROM api_project ORDER BY id;
INSERT INTO api_boardcolumn (board_id, name, position)
SELECT b.id, c.name, c.n FROM api_board b,
    unnest(ARRAY['Open', 'Doing', 'Review', 'Done']) WITH ORDINALITY c (name, n) ORDER BY b.id, c.n;
INSERT INTO api_milestone (project_id, name, due_on)
SELECT p.id, 'Release ' || n, date '@start@' + 60 * n FROM api_project p, generate_series(1, 6) n ORDER BY p.id, n;
INSERT INTO api_sprint (project_id, name, starts_on, ends_on)
SELECT p.id, 'Sprint ' || n, date '@start@' + 14 * n, date '@start@' + 14 * n + 13
FROM api_project p, generate_series(0, 25) n ORDER BY p.id, n;
INSERT INTO api_label (project_id, name, colour)
SELECT p.id, l.name, '#' || substr(md5(l.name), 1, 6)
FROM api_project p, unnest(ARRAY['bug', 'idea', 'chore', 'urgent']) l (name) ORDER BY p.id, l.name;
INSERT INTO api_savedfilter (user_id, name, query) SELECT id, 'Mine', 'assignee:me status:open' FROM auth_user ORDER BY id;
INSERT INTO api_webhook (project_id, url, active)
SELECT id, 'https://hooks.example.org/' || id, true FROM api_project WHERE id % 3 = 0 ORDER BY id;
DROP FUNCTION pg_temp.pick;
