# What an operator's awk makes of nginx's combined format, oldest line first: requests per hour and status class,
# clients with more than ten refused logins within five minutes, and requests to the admin area per client.
{
    split($0, part, "\"")
    split(part[3], answer, " ")
    stamp = substr($4, 2)
    hour = substr(stamp, 1, 14)
    hours[hour " " substr(answer[1], 1, 1)]++
    split(part[2], request, " ")
    path = request[2]
    if (index(path, "/admin/") == 1) {
        visits[$1]++
    }
    if ((answer[1] == 401 || answer[1] == 403) && index(path, "/api/auth/login") == 1) {
        date = substr(stamp, 1, 11)
        if (date != today) {
            today = date
            days++
        }
        split(stamp, clock, ":")
        now = days * 86400 + clock[2] * 3600 + clock[3] * 60 + clock[4]
        if (!($1 in oldest)) {
            oldest[$1] = newest[$1] = 0
        }
        at[$1, newest[$1]++] = now
        while (now - at[$1, oldest[$1]] >= 300) {
            delete at[$1, oldest[$1]++]
        }
        if (newest[$1] - oldest[$1] > most[$1]) {
            most[$1] = newest[$1] - oldest[$1]
        }
    }
}
END {
    for (key in hours) print "hour", key, hours[key]
    for (client in most) if (most[client] > 10) print "refused", client, most[client]
    for (client in visits) print "visits", client, visits[client]
}
