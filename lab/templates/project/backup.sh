#!/bin/sh
# Dumps the database into backups/. Runs every night at 02:00 in the service `backup`;
# started by hand on the host it goes there by itself.
set -u
umask 077

cd "$(dirname "$0")" || exit 1
if [ -z "${PGHOST:-}" ]; then
    if docker compose version >/dev/null 2>&1; then
        exec docker compose exec -T backup /project/backup.sh
    fi
    exec docker-compose exec -T backup /project/backup.sh
fi

KEEP_DAYS=30
name=synk_backup_$(date +%Y%m%d_%H%M%S).sql.gz
log=backups/backup.log

PGPASSWORD=$POSTGRES_PASSWORD pg_dump --username="$POSTGRES_USER" "$POSTGRES_DB" | gzip > "backups/$name.partial"
status=$?
if [ "$status" -ne 0 ]; then
    echo "$(date '+%Y-%m-%d %H:%M:%S') backup FAILED with status $status" >> "$log"
    exit "$status"
fi
mv "backups/$name.partial" "backups/$name"
find backups -name 'synk_backup_*.sql.gz' -mtime +"$KEEP_DAYS" -delete
echo "$(date '+%Y-%m-%d %H:%M:%S') backup successful: $name ($(stat -c %s "backups/$name") bytes)" >> "$log"
