"""The container's health check: asks its own /health/, ends 0 when that answers 200."""

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=2.5)
connection.request("GET", "/health/")
answer = connection.getresponse()
body = answer.read(200)
if answer.status != http.HTTPStatus.OK:
    sys.exit(f"{answer.status} {body!r}")
