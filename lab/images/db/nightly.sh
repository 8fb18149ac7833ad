#!/bin/sh
# Runs the project's backup.sh every night at 02:00 local time, and at start when the last one is missing.
set -eu

trap 'exit 0' TERM INT

pause() {
    # In the background, so that a stop is heard at once instead of after the nap.
    sleep "$1" &
    wait $!
}

last_night() {
    if [ "$(date +%H)" -ge 2 ]; then date +%Y%m%d; else date -d yesterday +%Y%m%d; fi
}

done_for=''
while :; do
    night=$(last_night)
    if [ "$night" != "$done_for" ]; then
        if ls /project/backups/synk_backup_"${night}"_*.sql.gz >/dev/null 2>&1; then
            done_for=$night
        elif /project/backup.sh; then
            done_for=$night
        fi
    fi
    pause 20
done
