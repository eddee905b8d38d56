"""What a user of the REST API writes: standard library only, address and key from the environment."""

import json
import os
from urllib import error, request

KEY = os.environ["INFRAI_API_KEY"]
BASE = os.environ["INFRAI_BASE_URL"]


def api(method, path, body=None):
    asked = request.Request(
        BASE + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    try:
        with request.urlopen(asked, timeout=60) as reply:
            return json.loads(reply.read())
    except error.HTTPError as refused:
        return json.loads(refused.read())


def show(answer):
    print(json.dumps(answer, ensure_ascii=False), end="\x1e")
    return answer


created = show(
    api(
        "POST",
        "/v1/cron/create",
        {"cron_expr": "0 9 * * 1", "task_type": "http_url", "task_url": "https://api.acme.com/weekly"},
    )
)
cron_id = (created.get("data") or {}).get("cron_id") or ""
show(api("GET", f"/v1/cron/runs/list/{cron_id}"))
show(api("GET", "/v1/cron/list"))
