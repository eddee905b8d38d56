// Calls against a real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { each, InfraiClient, MainspringClient, MainspringError, ROUTES } from "@mainspring/client";

import { KEY, startServer, startSink, until } from "./rig.js";

let server, sink, client;
before(async () => {
  [server, sink] = await Promise.all([startServer(), startSink()]);
  client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
});
after(() => Promise.all([server?.stop(), sink?.stop()]));

const yearly = (name) => ({ schedule: "0 9 1 1 *", url: `${sink.url}/${name}`, name });

test("a cron job lives its life", async () => {
  const fields = { ...yearly("life"), payload: { kind: "daily" }, timezone: "Europe/Berlin" };
  const job = await client.job.cron.create(fields);
  assert.equal(job.cron_expr, "0 9 1 1 *");
  const run = await client.job.cron.trigger(job.id, { payload: { by: "hand" } });
  const ended = await until("the run", async () => {
    const found = await client.job.cron.runs.get(job.id, run.run_id);
    return found.finished_at && found;
  });
  assert.equal(ended.state, "succeeded");
  assert.equal(ended.attempts.length, 1);
  const got = sink.seen.find((one) => one.path === "/life");
  assert.deepEqual(JSON.parse(got.body), { by: "hand" });

  assert.equal((await client.job.cron.update(job.id, { name: "other" })).name, "other");
  assert.equal((await client.job.cron.pause(job.id)).enabled, false);
  assert.equal((await client.job.cron.resume(job.id)).enabled, true);
  assert.equal((await client.job.cron.retention.set(job.id, { retention_days: 3 })).retention_days, 3);
  assert.equal((await client.job.cron.retention.get(job.id)).retention_days, 3);
  assert.equal((await client.job.cron.runs.list(job.id, { state: "succeeded", limit: 1 })).items.length, 1);
  assert.deepEqual((await client.job.cron.occurrences.list(job.id)).items, []);
  assert.equal((await client.job.run.get(run.run_id)).attempts.length, 1);
  const again = await client.job.run.replay(run.run_id);
  assert.deepEqual([again.trigger, again.cron_id], ["replay", job.id]);
  assert.equal((await client.job.cron.delete(job.id)).deleted, true);
  await assert.rejects(client.job.cron.get(job.id), { code: "NOT_FOUND", status: 404 });
});

test("a task is scheduled, listed and cancelled", async () => {
  const task = await client.job.task.schedule({ run_at: "2090-01-01T00:00:00Z", task: `${sink.url}/task` });
  assert.equal((await client.job.task.get(task.id)).state, "scheduled");
  assert.ok((await client.job.task.list()).items.some((one) => one.id === task.id));
  assert.equal((await client.job.task.cancel(task.id)).state, "cancelled");
  assert.deepEqual((await client.job.run.list({ cron_id: task.id })).items, []);
});

test("a message goes through a queue and its dead letters", async () => {
  const queue = "letters";
  await client.job.queue.create({ name: queue, max_retries: 0 });
  const { message_id } = await client.job.queue.publish({ queue, payload: { n: 1 }, priority: 3 });
  assert.equal((await client.job.queue.peek(queue)).messages[0].message_id, message_id);
  const [message] = (await client.job.queue.consume({ queue, wait_seconds: 1 })).messages;
  assert.deepEqual(message.payload, { n: 1 });
  await client.job.queue.extend({ queue, message_id, receipt: message.receipt, visibility_timeout: 60 });
  const nacked = await client.job.queue.nack({ queue, message_id, receipt: message.receipt });
  assert.equal(nacked.requeued, false);
  assert.equal((await client.job.queue.dlq.list(queue)).items[0].message_id, message_id);
  assert.equal((await client.job.queue.dlq.redrive(queue)).redriven, 1);
  const [again] = (await client.job.queue.consume({ queue })).messages;
  await client.job.queue.release({ queue, message_id, receipt: again.receipt });
  const [last] = (await client.job.queue.consume({ queue })).messages;
  assert.equal((await client.job.queue.ackBatch({ queue, messages: [last] })).acked, true);
  assert.equal((await client.job.queue.stats(queue)).available, 0);
  assert.equal((await client.job.queue.delete(queue)).deleted, true);
});

test("a key is made, works, and is revoked", async () => {
  const made = await client.account.keys.create({ name: "reader", scopes: ["cron:read"] });
  const reader = new MainspringClient({ apiKey: ` ${made.key}\n`, baseUrl: server.url });
  await reader.job.cron.list();
  await assert.rejects(reader.job.cron.create(yearly("no")), { code: "FORBIDDEN", status: 403 });
  await client.account.keys.revoke(made.id);
  await assert.rejects(reader.job.cron.list(), { code: "UNAUTHORIZED", status: 401 });
  assert.equal((await client.account.balance()).balance_usd, 0);
});

test("a refusal tells the code, the field, what to do, and the request", async () => {
  const refused = await client.job.cron.create({ ...yearly("bad"), schedule: "61 * * * *" }).catch((error) => error);
  assert.ok(refused instanceof MainspringError);
  assert.equal(refused.code, "VALIDATION_FAILED");
  assert.equal(refused.status, 422);
  assert.equal(refused.field, "cron_expr");
  assert.equal(refused.retryable, false);
  assert.match(refused.requestId, /^[0-9a-f-]{36}$/);
  assert.ok(refused.hint);
  assert.ok(refused.message.includes(refused.hint));
});

test("a result has its metadata, and is printed without it", async () => {
  const list = await client.job.cron.list();
  assert.match(list._metadata.request_id, /^[0-9a-f-]{36}$/);
  assert.equal(list._metadata.vendor, "mainspring");
  assert.deepEqual(Object.keys(list).sort(), ["items", "next_cursor"]);
});

test("one idempotency key is one effect, as a field and as an option", async () => {
  const fields = { ...yearly("once"), idempotency_key: "order 42" };
  const first = await client.job.cron.create(fields);
  assert.equal((await client.job.cron.create(fields)).id, first.id);
  const { idempotency_key: idempotencyKey, ...rest } = fields;
  assert.equal((await client.job.cron.create(rest, { idempotencyKey })).id, first.id);
  await assert.rejects(client.job.cron.create({ ...rest, name: "x" }, { idempotencyKey }), {
    code: "IDEMPOTENCY_MISMATCH",
  });
  assert.notEqual((await client.job.cron.create(rest)).id, first.id);
});

test("an idempotency key that no header can carry has one effect too", async () => {
  const fields = { ...yearly("umlaut"), idempotency_key: "Bestellung für Łukasz" };
  const first = await client.job.cron.create(fields);
  assert.equal((await client.job.cron.create(fields)).id, first.id);
});

test("every page of a list is one sequence", async () => {
  const queues = ["p1", "p2", "p3", "p4", "p5"];
  for (const name of queues) await client.job.queue.create({ name });
  const found = [];
  for await (const queue of each((page) => client.job.queue.list(page), 2)) found.push(queue.name);
  assert.deepEqual(found.filter((name) => queues.includes(name)).sort(), queues);
});

test("a capability can be called by its id and by its route", async () => {
  const job = await client.job.cron.create(yearly("routes"));
  const calls = ["cron.get", "scheduling.cron.get", ROUTES["cron.get"], ROUTES["scheduling.cron.get"]];
  for (const route of calls) assert.equal((await client.call(route, { id: job.id })).id, job.id);
  await assert.rejects(client.call("cron.nothing", {}), { code: "NOT_FOUND" });
});

test("what stands in a path is only ever one segment of it", async () => {
  for (const id of ["", ".", "..", undefined]) {
    await assert.rejects(client.job.queue.delete(id), { code: "VALIDATION_FAILED", field: "queue" });
  }
  await assert.rejects(client.job.cron.get("a/../../b?c#d"), { code: "NOT_FOUND" });
});

test("the address may end in /v1 and in slashes", async () => {
  for (const tail of ["", "/", "/v1", "/v1/"]) {
    const other = new InfraiClient({ apiKey: KEY, baseUrl: server.url + tail });
    assert.equal(other.baseUrl, server.url);
    await other.job.cron.list();
  }
  for (const baseUrl of ["", "localhost", "ftp://x", "http://x:secret@localhost", "http://localhost/?q"]) {
    assert.throws(
      () => new MainspringClient({ baseUrl }),
      (error) => error.code === "MISCONFIGURED" && !error.message.includes("secret"),
    );
  }
});
