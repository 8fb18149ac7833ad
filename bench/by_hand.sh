#!/bin/sh
# What the guide's daily section has an operator type, morning and evening. Run in the project's directory.
# Usage: by_hand.sh COMPOSE SITE CONNECT_TO CA_FILE   (COMPOSE is "docker compose" or "docker-compose")
compose=$1 site=$2 connect=$3 ca=$4

$compose ps
curl -sI --cacert "$ca" --connect-to "::$connect" "$site"
df -h /
ls -lh ./backups/synk_backup_*.sql.gz | head -1

$compose ps
$compose logs --timestamps --since 8h backend | grep -i error | wc -l
$compose logs db | tail -5
