#!/bin/sh
# As many checks as a daily run has items, of the same things, by Debian's monitoring-plugins and check-postgres where
# they have one and by the docker client where they have none, one after another as a monitoring server runs them.
# Usage: plugins.sh PROJECT DOMAIN HTTPS_PORT HTTP_PORT DB_PORT BACKUPS DB_NAME ACCESS_LOG   (password in PGPASSWORD)
project=$1 domain=$2 https=$3 http=$4 dbport=$5 backups=$6 dbname=$7 access=$8
p=/usr/lib/nagios/plugins
label="label=com.docker.compose.project=$project"
newest=$(ls -t "$backups"/synk_backup_*.sql.gz | head -1)

for service in db redis backend nginx backup; do
    docker ps --filter "$label" --filter "label=com.docker.compose.service=$service" --format '{{.Status}}'
done
for service in db redis backend nginx backup; do
    docker inspect -f '{{.RestartCount}} {{.State.OOMKilled}} {{.State.StartedAt}}' \
        $(docker ps -aq --filter "$label" --filter "label=com.docker.compose.service=$service")
done
for path in / /api/status/; do
    $p/check_http -I 127.0.0.1 -H "$domain" -p "$https" -S --sni -u "$path" -e 'HTTP/1.1 200'
done
for header in Strict-Transport-Security Content-Security-Policy X-Frame-Options X-Content-Type-Options \
    Referrer-Policy Permissions-Policy; do
    $p/check_http -I 127.0.0.1 -H "$domain" -p "$https" -S --sni -u / -d "$header"
done
$p/check_http -I 127.0.0.1 -H "$domain" -p "$http" -u /api/status/ -e 'HTTP/1.1 301'
for path in / /var/lib/docker "$backups" /var/lib/docker/volumes; do
    $p/check_disk -w 20% -c 20% -p "$path"
    $p/check_disk -W 20% -K 20% -p "$path"
done
$p/check_file_age -w 86400 -c 90000 -f "$newest"
$p/check_file_age -w 999999 -c 999999 -W 5242880 -C 5242880 -f "$newest"
$p/check_file_age -w 999999 -c 999999 -W 4000000 -C 4000000 -f "$newest"
$p/check_http -I 127.0.0.1 -H "$domain" -p "$https" -S --sni -u /health/ -e 'HTTP/1.1 200' -s ok
docker logs --since 8h "$(docker ps -q --filter "$label" --filter label=com.docker.compose.service=backend | head -1)" \
    2>&1 | grep -c ' ERROR '
awk '$9 >= 500' "$access" | wc -l
check_postgres --action=backends --host=127.0.0.1 --port="$dbport" --dbuser=ops_checks --dbname="$dbname" --warning=20
docker logs --since 24h "$(docker ps -q --filter "$label" --filter label=com.docker.compose.service=db)" 2>&1 |
    grep -cE 'FATAL|PANIC'
