"""Signed webhooks as Celery tasks: the worker's module, and `celery_webhooks.py URL COUNT`, which asks for so many and
prints the instant (ms) at which it began."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time

import requests
from celery import Celery

app = Celery("webhooks", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
SECRET = b"a-secret-of-thirty-two-bytes-long"
session = requests.Session()


@app.task(name="deliver", bind=True, autoretry_for=(requests.RequestException,), retry_backoff=5, max_retries=10)
def deliver(task, url, payload):
    """One attempt, signed as Standard Webhooks says; any failure is tried again."""
    body = json.dumps(payload)
    at = str(int(time.time()))
    signed = f"{task.request.id}.{at}.{body}".encode()
    signature = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": task.request.id,
        "webhook-id": task.request.id,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + signature,
    }
    session.post(url, data=body, headers=headers, timeout=30).raise_for_status()


if __name__ == "__main__":
    url, count = sys.argv[1], int(sys.argv[2])
    with app.connection_for_write() as connection:
        connection.ensure_connection()
        print(time.time() * 1000, flush=True)
        for _ in range(count):
            deliver.delay(url, {"event": "x", "data": "x" * 200})
