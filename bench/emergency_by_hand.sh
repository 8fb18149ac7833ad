#!/bin/sh
# What the guide's emergency procedures have an operator type to see what is wrong; nothing of what mends it.
# Run in the project's directory. Usage: emergency_by_hand.sh COMPOSE SITE CONNECT_TO CA_FILE DATABASE
compose=$1 site=$2 connect=$3 ca=$4 database=$5

$compose ps
$compose logs backend | tail -50
curl -s --max-time 10 --cacert "$ca" --connect-to "::$connect" "${site}health/"

df -h /
docker system df
du -sh ./backups/*

$compose logs db | grep max_connections
timeout 10 $compose exec -T db psql -U postgres -d "$database" -c "SELECT COUNT(*) FROM pg_stat_activity;"
