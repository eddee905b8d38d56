// What the client does when answers are late, lost or unwelcome.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { MainspringClient } from "@mainspring/client";

import { answer, forward, KEY, startServer, startSink, until } from "./rig.js";

let server, target;
before(async () => ([server, target] = await Promise.all([startServer(), startSink()])));
after(() => Promise.all([server?.stop(), target?.stop()]));

/** Runs `body` with a client of a server that handles requests with `handle`, and with what that has seen. */
async function against(handle, body, options = {}) {
  const sink = await startSink(handle);
  try {
    const client = new MainspringClient({ apiKey: KEY, baseUrl: sink.url, ...options });
    return await body(client, sink.seen, sink);
  } finally {
    await sink.stop();
  }
}

/** Answers with each of `answers` in turn, then with success. */
function planned(...answers) {
  return (_, response) => {
    const [status, content, headers] = answers.shift() ?? [200, { items: [] }];
    answer(response, status, content, headers);
  };
}

const refusal = (code, retryable) => ({ code, message: "m", hint: "h", retryable });

/** A server whose first `losses` answers get lost after it has done what was asked. */
function lossy(losses) {
  return async (got, response, incoming) => {
    const done = await forward(server.url, got);
    if (losses-- > 0) return incoming.socket.destroy();
    response.writeHead(done.status, done.headers).end(done.body);
  };
}

test("a write whose answers got lost has one effect", async () => {
  await against(lossy(2), async (client, seen) => {
    const job = await client.job.cron.create({ schedule: "@yearly", url: `${target.url}/lost`, name: "lost" });
    const keys = new Set(seen.map((got) => got.headers["idempotency-key"]));
    assert.equal(seen.length, 3);
    assert.equal(keys.size, 1);
    const { items } = await client.job.cron.list();
    assert.deepEqual(items.filter((one) => one.name === "lost").map((one) => one.id), [job.id]);
  });
});

test("two calls have two keys", async () => {
  await against(planned(), async (client, seen) => {
    await client.job.queue.publish({ queue: "q", payload: 1 });
    await client.job.queue.publish({ queue: "q", payload: 1 });
    assert.notEqual(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
  });
});

test("messages whose answer got lost are handed out by the next attempt", async () => {
  await against(lossy(1), async (client, seen) => {
    const direct = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
    const { message_id } = await direct.job.queue.publish({ queue: "lossy", payload: 1 });
    const { messages } = await client.job.queue.consume({ queue: "lossy", visibility_timeout: 60 });
    assert.equal(seen.length, 2);
    assert.deepEqual(messages.map((one) => [one.message_id, one.attempt]), [[message_id, 1]]);
  });
});

test("a server that is away for a moment is asked again", async () => {
  const away = [503, refusal("UNAVAILABLE", true)];
  await against(planned(away, away), async (client, seen) => {
    await client.job.cron.list();
    assert.equal(seen.length, 3);
  });
});

test("a proxy without its server is asked again", async () => {
  let left = 2;
  const proxy = (_, response) => (left-- > 0 ? response.writeHead(502).end("<html>") : answer(response, 200, {}));
  await against(proxy, async (client, seen) => {
    await client.job.cron.list();
    assert.equal(seen.length, 3);
  });
});

test("what the server refuses for good is asked once", async () => {
  const refusals = [
    [400, "INVALID_JSON"],
    [401, "UNAUTHORIZED"],
    [403, "FORBIDDEN"],
    [404, "NOT_FOUND"],
    [409, "CONFLICT"],
    [422, "VALIDATION_FAILED"],
    [500, "INTERNAL"],
  ];
  for (const [status, code] of refusals) {
    await against(planned([status, refusal(code, false)]), async (client, seen) => {
      await assert.rejects(client.job.queue.create({ name: "q" }), { code, status });
      assert.equal(seen.length, 1);
    });
  }
});

test("a conflict and a limit that pass are tried again", async () => {
  const passing = [
    [409, refusal("CONFLICT", true)],
    [429, refusal("RATE_LIMITED", true), { "Retry-After": "0" }],
  ];
  await against(planned(...passing), async (client, seen) => {
    await client.job.queue.create({ name: "q" });
    assert.equal(seen.length, 3);
  });
});

test("Retry-After is waited for, as seconds and as a date", async () => {
  const forms = [() => "1", () => new Date(Date.now() + 2000).toUTCString()];
  for (const form of forms) {
    await against(planned([429, refusal("RATE_LIMITED", true), { "Retry-After": form() }]), async (client) => {
      const start = performance.now();
      await client.job.cron.list();
      assert.ok(performance.now() - start > 900);
    });
  }
});

test("a Retry-After that lies beyond the deadline ends the call at once", async () => {
  await against(planned([429, refusal("QUEUE_FULL", true), { "Retry-After": "3600" }]), async (client, seen) => {
    const error = await client.job.cron.list().catch((thrown) => thrown);
    assert.equal(error.code, "QUEUE_FULL");
    assert.equal(error.retryAfterSeconds, 3600);
    assert.equal(seen.length, 1);
  });
});

test("attempts and the whole call have their deadlines", async () => {
  const silent = () => undefined;
  const patience = { timeoutMs: 50, deadlineMs: 2000, retries: 2 };
  await against(silent, async (client, seen) => {
    await assert.rejects(client.job.cron.list(), { code: "TIMEOUT", status: 0 });
    assert.equal(seen.length, 3);
    await assert.rejects(client.job.cron.list({}, { timeoutMs: 5000, deadlineMs: 100 }), { code: "TIMEOUT" });
    assert.equal(seen.length, 4);
  }, patience);
});

test("a body that stops in the middle is an attempt that failed", async () => {
  let left = 1;
  const stalls = (_, response) => {
    if (left-- > 0) return response.writeHead(200, { "Content-Length": "100" }).write("{");
    answer(response, 200, { items: [] });
  };
  await against(stalls, async (client, seen) => {
    await client.job.cron.list();
    assert.equal(seen.length, 2);
  }, { timeoutMs: 100 });
});

test("the caller's signal ends a request, and the wait for the next", async () => {
  const reason = new Error("enough");
  await against(() => undefined, async (client, seen) => {
    const stop = new AbortController();
    const called = client.job.cron.list({}, { signal: stop.signal });
    await until("the request", () => seen.length === 1);
    stop.abort(reason);
    await assert.rejects(called, reason);
  });
  await against(planned([503, refusal("UNAVAILABLE", true), { "Retry-After": "60" }]), async (client, seen) => {
    const stop = new AbortController();
    const called = client.job.cron.list({}, { signal: stop.signal });
    await until("the request", () => seen.length === 1);
    stop.abort(reason);
    await assert.rejects(called, reason);
    await assert.rejects(client.job.cron.list({}, { signal: stop.signal }), reason);
    assert.equal(seen.length, 1);
  });
});

test("a server that is not there is told apart", async () => {
  const sink = await startSink();
  await sink.stop();
  const client = new MainspringClient({ apiKey: KEY, baseUrl: sink.url, retries: 1 });
  const error = await client.job.cron.list().catch((thrown) => thrown);
  assert.equal(error.code, "UNREACHABLE");
  assert.equal(error.status, 0);
  assert.match(error.message, /ECONNREFUSED/);
});

test("the key does not follow a redirect", async () => {
  const before = target.seen.length;
  const redirects = (_, response) => response.writeHead(307, { Location: target.url }).end();
  await against(redirects, async (client, seen) => {
    const error = await client.job.cron.list().catch((thrown) => thrown);
    assert.equal(error.code, "UNEXPECTED_ANSWER");
    assert.ok(error.hint.includes(target.url));
    assert.equal(seen.length, 1);
  });
  assert.equal(target.seen.length, before);
});

test("an answer that is none of this API's is told as such", async () => {
  const others = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>hello</html>");
  await against(others, async (client) => {
    await assert.rejects(client.job.cron.list(), { code: "UNEXPECTED_ANSWER", status: 200 });
  });
});
