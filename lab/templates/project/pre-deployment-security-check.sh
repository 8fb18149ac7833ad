#!/bin/sh
# Looks over the project directory before a deployment. Ends 0 when nothing failed.
set -u
cd "$(dirname "$0")" || exit 1

passed=0
failed=0

check() {
    description=$1
    shift
    if "$@" >/dev/null 2>&1; then
        passed=$((passed + 1))
        echo "  ok    $description"
    else
        failed=$((failed + 1))
        echo "  FAIL  $description"
    fi
}

private() { [ "$(stat -c %a "$1")" = 600 ]; }
absent() { ! grep -Eq "$1" "$2"; }
long_enough() { [ "$(sed -n "s/^$1=//p" .env.production | tr -d '\n' | wc -c)" -ge "$2" ]; }

echo "Security check of $(pwd), $(date '+%Y-%m-%d %H:%M:%S')"

echo "Secrets"
check ".env.production is readable by its owner alone" private .env.production
check "the database's password has at least 24 characters" long_enough POSTGRES_PASSWORD 24
check "Django's key has at least 50 characters" long_enough SECRET_KEY 50
check "no password stands in the Compose file" absent 'PASSWORD: *[^$ ]' docker-compose.yml

echo "Containers"
check "no service is privileged" absent 'privileged: *true' docker-compose.yml
check "no service mounts the engine's socket" absent 'docker\.sock' docker-compose.yml
check "every port is published on loopback alone" absent '^ *- "?[0-9]+:[0-9]+' docker-compose.yml

echo "Application"
check "debugging is off" absent '^DEBUG = True' backend/synk/settings.py
check "session cookies travel over TLS alone" grep -q '^SESSION_COOKIE_SECURE = True' backend/synk/settings.py
check "CSRF cookies travel over TLS alone" grep -q '^CSRF_COOKIE_SECURE = True' backend/synk/settings.py
check "Python dependencies are pinned" absent '^[A-Za-z][A-Za-z0-9_-]*$' backend/requirements.txt

echo "Papers"
for paper in SECURITY.md INCIDENTS.md BACKUP_SETUP.md OPERATIONS.md; do
    check "$paper is there" test -s "$paper"
done

echo
echo "Summary: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
