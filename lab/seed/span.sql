-- What was done in one span of time: rows @from_...@ to @to_...@ of each table's whole history.
-- `moment` spreads a table's rows evenly from the start to now, in order.
CREATE FUNCTION pg_temp.moment(n bigint, total bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT timestamptz '@start@' + (n - 0.5) / total * (timestamptz '@now@' - timestamptz '@start@') $$;
CREATE FUNCTION pg_temp.pick(n bigint, salt text, k integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashtext(n::text || salt) & 2147483647) % k $$;
-- Some are busier than others, but none makes more than a tenth.
CREATE FUNCTION pg_temp.someone(n bigint, salt text) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT 1 + floor(38 * power(pg_temp.pick(n, salt, 10000) / 10000.0, 1.4))::integer $$;
CREATE FUNCTION pg_temp.words(n bigint, salt text, count integer) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT string_agg((ARRAY['the', 'report', 'needs', 'a', 'second', 'look', 'before', 'Friday', 'please', 'check',
                            'numbers', 'with', 'customer', 'and', 'update', 'plan', 'design', 'is', 'ready', 'for',
                            'review', 'broken', 'link', 'on', 'start', 'page', 'again', 'after', 'release', 'sent',
                            'to', 'team'])[1 + pg_temp.pick(n * 1000 + i, salt, 32)], ' ')
   FROM generate_series(1, count) i $$;

INSERT INTO api_task (project_id, creator_id, milestone_id, title, description, status, priority, created_at, updated_at)
SELECT 1 + pg_temp.pick(n, 'project', 12), pg_temp.someone(n, 'creator'), 1 + pg_temp.pick(n, 'milestone', 72),
       pg_temp.words(n, 'title', 5), pg_temp.words(n, 'description', 25),
       CASE WHEN n < 0.9 * @total_task@ THEN 'done' ELSE (ARRAY['open', 'doing', 'review'])[1 + pg_temp.pick(n, 's', 3)] END,
       1 + pg_temp.pick(n, 'priority', 5), pg_temp.moment(n, @total_task@), pg_temp.moment(n, @total_task@)
FROM generate_series(@from_task@, @to_task@) n;

INSERT INTO api_taskassignee (task_id, user_id)
SELECT n, pg_temp.someone(n, 'assignee') FROM generate_series(@from_task@, @to_task@) n;
INSERT INTO api_tasklabel (task_id, label_id)
SELECT n, 1 + pg_temp.pick(n, 'label', 48) FROM generate_series(@from_task@, @to_task@) n;
INSERT INTO api_taskdependency (task_id, needs_id)
SELECT n, 1 + pg_temp.pick(n, 'needs', (n - 1)::integer) FROM generate_series(@from_task@, @to_task@) n
WHERE n > 1 AND n % 8 = 0;

INSERT INTO api_comment (task_id, author_id, text, created_at)
SELECT 1 + pg_temp.pick(n, 'task', greatest(1, @to_task@)), pg_temp.someone(n, 'author'),
       pg_temp.words(n, 'comment', 18), pg_temp.moment(n, @total_comment@)
FROM generate_series(@from_comment@, @to_comment@) n;

-- Base64 of hashes: what compression can take from it is the quarter that Base64 added.
INSERT INTO api_attachment (task_id, name, content, created_at)
SELECT 1 + pg_temp.pick(n, 'task', greatest(1, @to_task@)), 'photo-' || n || '.jpg',
       (SELECT translate(encode(string_agg(sha512(convert_to(n || ':' || i, 'UTF8')), ''), 'base64'), E'\n', '')
        FROM generate_series(1, 384) i),
       pg_temp.moment(n, @total_attachment@)
FROM generate_series(@from_attachment@, @to_attachment@) n;

INSERT INTO api_timeentry (task_id, user_id, minutes, created_at)
SELECT 1 + pg_temp.pick(n, 'task', greatest(1, @to_task@)), pg_temp.someone(n, 'time'),
       5 + pg_temp.pick(n, 'minutes', 235), pg_temp.moment(n, @total_timeentry@)
FROM generate_series(@from_timeentry@, @to_timeentry@) n;

INSERT INTO api_notification (user_id, text, read, created_at)
SELECT pg_temp.someone(n, 'notified'), pg_temp.words(n, 'notification', 8), n < 0.95 * @total_notification@,
       pg_temp.moment(n, @total_notification@)
FROM generate_series(@from_notification@, @to_notification@) n;

INSERT INTO api_invitation (team_id, email, accepted, created_at)
SELECT 1 + pg_temp.pick(n, 'team', 5), 'guest' || n || '@example.org', n % 3 > 0, pg_temp.moment(n, @total_invitation@)
FROM generate_series(@from_invitation@, @to_invitation@) n;

INSERT INTO api_webhookdelivery (webhook_id, status, created_at)
SELECT 1 + pg_temp.pick(n, 'hook', 4), CASE WHEN n % 50 = 0 THEN 503 ELSE 200 END, pg_temp.moment(n, @total_webhookdelivery@)
FROM generate_series(@from_webhookdelivery@, @to_webhookdelivery@) n;

INSERT INTO api_auditentry (actor_id, action, detail, created_at)
SELECT CASE WHEN n % 3 = 0 THEN 40 ELSE 39 END, (ARRAY['changed role', 'archived', 'invited'])[1 + pg_temp.pick(n, 'a', 3)],
       pg_temp.words(n, 'detail', 6), pg_temp.moment(n, @total_auditentry@)
FROM generate_series(@from_auditentry@, @to_auditentry@) n;

INSERT INTO api_activity (user_id, activity_user, action, item, timestamp, avatar, created_at)
SELECT u.id, u.username, (ARRAY['created', 'completed', 'commented on', 'moved', 'assigned'])[1 + pg_temp.pick(n, 'action', 5)],
       'task ' || 1 + pg_temp.pick(n, 'item', greatest(1, @to_task@)), 'earlier', '/static/avatars/' || u.id || '.png',
       pg_temp.moment(n, @total_activity@)
FROM generate_series(@from_activity@, @to_activity@) n JOIN auth_user u ON u.id = pg_temp.someone(n, 'active')
ORDER BY n;

DROP FUNCTION pg_temp.moment, pg_temp.pick, pg_temp.someone, pg_temp.words;
