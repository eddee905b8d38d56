// The consumer loop on a real server.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { each, MainspringClient } from "@mainspring/client";

import { forward, HERE, KEY, startServer, startSink, until } from "./rig.js";

let server, client;
before(async () => {
  server = await startServer();
  client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
});
after(() => server?.stop());

async function publish(queue, count, start = 0) {
  const messages = Array.from({ length: count }, (_, at) => ({ payload: { n: start + at } }));
  return (await client.job.queue.publishBatch({ queue, messages })).message_ids;
}

/** Works on a queue until `enough` says so; gives what became of the messages. */
async function workUntil(enough, queue, handle, options = {}) {
  const stop = new AbortController();
  const working = client.work(queue, handle, { onError: () => undefined, ...options, signal: stop.signal });
  try {
    await Promise.race([until("the work", enough, 240), working]);
  } finally {
    stop.abort();
  }
  return working;
}

/** A process of its own, in which `new MainspringClient()` finds the server. */
function run(program) {
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: HERE,
    env: { ...process.env, MAINSPRING_URL: server.url, MAINSPRING_API_KEY: KEY },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

const leftOf = async (queue) => {
  const { available, delayed, in_flight, dlq } = await client.job.queue.stats(queue);
  return { available, delayed, in_flight, dlq };
};
const NOTHING = { available: 0, delayed: 0, in_flight: 0, dlq: 0 };

test("every message is handled once and acknowledged", async () => {
  const ids = await publish("plain", 300);
  const handled = [];
  let most = 0;
  let now = 0;
  const handle = async (message) => {
    most = Math.max(most, ++now);
    await sleep(2);
    handled.push(message.message_id);
    now--;
  };
  const done = await workUntil(() => handled.length >= 300, "plain", handle, { concurrency: 16 });
  assert.deepEqual(done, { acked: 300, failed: 0, released: 0, lost: 0 });
  assert.deepEqual(handled.sort(), ids.sort());
  assert.ok(most > 1 && most <= 16, `${most} at a time`);
  assert.deepEqual(await leftOf("plain"), NOTHING);
});

test("of 10,000 messages none is lost, and those that fail are dead letters", { timeout: 300_000 }, async () => {
  await client.job.queue.create({ name: "many", max_retries: 1 });
  for (let start = 0; start < 10_000; start += 1000) await publish("many", 1000, start);
  const succeeded = new Set();
  const told = [];
  const handle = ({ payload }) => {
    if (payload.n % 100 === 0) throw new Error(`no ${payload.n}`);
    succeeded.add(payload.n);
  };
  const options = { concurrency: 50, onError: (error, message) => told.push([error.message, message.message_id]) };
  const finished = async () => (await client.job.queue.stats("many")).dlq === 100 && succeeded.size === 9900;
  const done = await workUntil(finished, "many", handle, options);
  assert.deepEqual(done, { acked: 9900, failed: 200, released: 0, lost: 0 });
  assert.equal(told.length, 200);
  const dead = [];
  for await (const letter of each((page) => client.job.queue.dlq.list("many", page))) dead.push(letter.payload.n);
  const failing = Array.from({ length: 100 }, (_, at) => at * 100);
  assert.deepEqual(dead.sort((a, b) => a - b), failing);
  assert.deepEqual(await leftOf("many"), { ...NOTHING, dlq: 100 });
});

test("what becomes of a failed message can be said", async () => {
  await publish("verdict", 1);
  const attempts = [];
  const handle = (message) => {
    attempts.push(message.attempt);
    throw new Error("not this one");
  };
  const onFailure = (error, message) => (message.attempt < 2 ? { delay_seconds: 0 } : { requeue: false });
  const dead = async () => (await leftOf("verdict")).dlq === 1;
  const done = await workUntil(dead, "verdict", handle, { onFailure });
  assert.deepEqual(attempts, [1, 2]);
  assert.equal(done.failed, 2);
});

test("a message is kept for as long as its handler works", async () => {
  await publish("slow", 1);
  const attempts = [];
  let ended = 0;
  const handle = async (message) => {
    attempts.push(message.attempt);
    await sleep(3200);
    ended++;
  };
  const done = await workUntil(() => ended > 0, "slow", handle, { visibilitySeconds: 1, concurrency: 2 });
  assert.deepEqual(attempts, [1]);
  assert.deepEqual(done, { acked: 1, failed: 0, released: 0, lost: 0 });
});

test("a handler hears that its message is no longer its own", async () => {
  await publish("lost", 1);
  let reason;
  const handle = async (_, { signal }) => {
    await client.job.queue.purge("lost");
    await once(signal, "abort");
    reason = signal.reason;
  };
  const done = await workUntil(() => reason, "lost", handle, { visibilitySeconds: 1 });
  assert.equal(reason.code, "NOT_FOUND");
  assert.deepEqual(done, { acked: 0, failed: 0, released: 0, lost: 1 });
});

test("stopping finishes what is in hand, also while every seat is taken", async () => {
  await publish("finish", 3);
  const stop = new AbortController();
  let started = 0;
  const handle = async () => {
    started++;
    await once(stop.signal, "abort");
    await sleep(50);
  };
  const working = client.work("finish", handle, { concurrency: 2, signal: stop.signal });
  await until("both seats to be taken", () => started === 2);
  stop.abort();
  assert.deepEqual(await working, { acked: 2, failed: 0, released: 0, lost: 0 });
  assert.deepEqual(await leftOf("finish"), { ...NOTHING, available: 1 });
});

test("stopping does not wait for a request that waits for messages, and leases nothing", async () => {
  const stop = new AbortController();
  const working = client.work("idle", () => undefined, { signal: stop.signal, waitSeconds: 20 });
  await until("the queue", async () => (await client.job.queue.list()).items.some((one) => one.name === "idle"));
  const start = performance.now();
  stop.abort();
  await working;
  assert.ok(performance.now() - start < 10_000);
  await publish("idle", 1);
  assert.deepEqual(await leftOf("idle"), { ...NOTHING, available: 1 });
});

test("a handler that does not end is left, and its message given back without a failure", async () => {
  await client.job.queue.create({ name: "stuck", max_retries: 0 });
  await publish("stuck", 1);
  const stop = new AbortController();
  let context;
  const handle = (_, given) => {
    context = given;
    return new Promise(() => undefined);
  };
  const working = client.work("stuck", handle, { concurrency: 1, drainSeconds: 0.1, signal: stop.signal });
  await until("the handler", () => context);
  stop.abort();
  assert.deepEqual(await working, { acked: 0, failed: 0, released: 1, lost: 0 });
  assert.equal(context.signal.aborted, true);
  assert.deepEqual(await leftOf("stuck"), { ...NOTHING, available: 1 });
});

test("a process whose worker left a handler behind can end", async () => {
  await publish("behind", 1);
  const program = `
    import { MainspringClient } from "@mainspring/client";
    const stop = new AbortController();
    const handle = () => {
      stop.abort();
      return new Promise(() => undefined);
    };
    await new MainspringClient().work("behind", handle, { signal: stop.signal, drainSeconds: 0 });
  `;
  const child = run(program);
  await until("the process to end", () => child.exitCode !== null);
  assert.equal(child.exitCode, 0);
});

test("answers that get lost lose no message, and cost none an attempt", async () => {
  await publish("answers", 5);
  let losses = 2;
  const proxy = await startSink(async (got, response, incoming) => {
    const done = await forward(server.url, got);
    if (got.path === "/v1/queue/consume" && losses-- > 0) return incoming.socket.destroy();
    response.writeHead(done.status, done.headers).end(done.body);
  });
  const stop = new AbortController();
  const attempts = [];
  const worker = new MainspringClient({ apiKey: KEY, baseUrl: proxy.url });
  const handle = (message) => attempts.push(message.attempt);
  const working = worker.work("answers", handle, { signal: stop.signal, onError: () => undefined });
  await until("the messages", () => attempts.length === 5);
  stop.abort();
  await working;
  await proxy.stop();
  assert.deepEqual(attempts, [1, 1, 1, 1, 1]);
  assert.deepEqual(await leftOf("answers"), NOTHING);
});

test("messages of a request that stopping cuts off are given back", async () => {
  const proxy = await startSink(async (got, response) => {
    const done = await forward(server.url, got);
    // The first answer is held back until the worker has hung up.
    if (got.path === "/v1/queue/consume" && consumed++ === 0) return;
    response.writeHead(done.status, done.headers).end(done.body);
  });
  let consumed = 0;
  await client.job.queue.create({ name: "cut", max_retries: 0 });
  await publish("cut", 4);
  const stop = new AbortController();
  const worker = new MainspringClient({ apiKey: KEY, baseUrl: proxy.url });
  const working = worker.work("cut", () => undefined, { signal: stop.signal });
  await until("the lease", async () => (await leftOf("cut")).in_flight === 4);
  stop.abort();
  await working;
  await proxy.stop();
  assert.deepEqual(await leftOf("cut"), { ...NOTHING, available: 4 });
});

test("a worker goes on when the server was away", async () => {
  await publish("away", 1);
  let away = true;
  const proxy = await startSink(async (got, response, incoming) => {
    if (away) return incoming.socket.destroy();
    const done = await forward(server.url, got);
    response.writeHead(done.status, done.headers).end(done.body);
  });
  const stop = new AbortController();
  const errors = [];
  let handled = 0;
  const worker = new MainspringClient({ apiKey: KEY, baseUrl: proxy.url });
  const options = { signal: stop.signal, onError: (error) => errors.push(error.code) };
  const working = worker.work("away", () => handled++, options);
  await until("two failures", () => errors.length >= 2);
  away = false;
  await until("the message", () => handled === 1);
  stop.abort();
  assert.equal((await working).acked, 1);
  await proxy.stop();
  assert.ok(errors.every((code) => code === "UNREACHABLE"));
});

test("a worker whose key is refused says so", async () => {
  const stranger = new MainspringClient({ apiKey: "nobody", baseUrl: server.url });
  await assert.rejects(stranger.work("any", () => undefined), { code: "UNAUTHORIZED" });
});

test("a signal that is aborted already starts nothing", async () => {
  const done = await client.work("never", () => undefined, { signal: AbortSignal.abort() });
  assert.deepEqual(done, { acked: 0, failed: 0, released: 0, lost: 0 });
});

test("the message of a worker that was killed comes back", async () => {
  await publish("killed", 1);
  const program = `
    import { MainspringClient } from "@mainspring/client";
    const client = new MainspringClient();
    await client.work("killed", () => new Promise(() => console.log("has it")), { visibilitySeconds: 1 });
  `;
  const child = run(program);
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await ended;
  const attempts = [];
  const done = await workUntil(() => attempts.length > 0, "killed", (message) => attempts.push(message.attempt));
  assert.deepEqual(attempts, [2]);
  assert.equal(done.acked, 1);
});
