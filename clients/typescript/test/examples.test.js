// Every example of the README, and the published one of the API that this server speaks, compiled and run.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { MainspringClient } from "@mainspring/client";

import { HERE, KEY, startServer, startSink, until } from "./rig.js";

const FOLDER = join(HERE, ".try/examples");
const README = readFileSync(join(HERE, "README.md"), "utf8");
const [start, lists, failures, worker, receiver] = [...README.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text);

// As published, but for the name of the package; the address and the key come from the environment.
const PUBLISHED = `
import { InfraiClient } from "@mainspring/client";
const client = new InfraiClient({ apiKey: process.env.INFRAI_API_KEY! });

import { ROUTES, type CronOptions, type CronRecord } from "@mainspring/client";
const opts: CronOptions = {
  name: "daily-digest-published",
  schedule: "0 9 * * *",
  url: process.env.TARGET!,
  payload: { segment: "active-users" },
  timezone: "UTC",
  retries: 2,
  idempotency_key: "published-example",
};
const created: Promise<CronRecord> = client.job.cron.create(opts);
const { cron_id, name, schedule, url, enabled, next_run_at } = await created;
const { items } = await client.call(ROUTES["scheduling.cron.list"], {});
const sent = { queue: "published", payload: { user_id: "u_123" }, delay_seconds: 0 };
const { message_id } = await client.call(ROUTES["scheduling.queue.publish"], sent);
const listed = items.some((item) => item.cron_id === cron_id);
console.log(JSON.stringify({ cron_id, name, schedule, url, enabled, next_run_at, listed, message_id }));
`;

const AMBIENT = `declare const process: {
  env: Record<string, string | undefined>;
  once(event: string, handler: () => void): void;
};`;

let server, target, client;
before(async () => {
  compile({ start, lists, failures, worker, receiver, published: PUBLISHED });
  [server, target] = await Promise.all([startServer(), startSink()]);
  client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
});
after(() => Promise.all([server?.stop(), target?.stop()]));

function compile(programs, folder = FOLDER) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "ambient.d.ts"), AMBIENT);
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(folder, `${name}.ts`), text);
  const compilerOptions = { rootDir: ".", outDir: "out", declaration: false, declarationMap: false, sourceMap: false };
  // Beyond `strict`, and not what examples are written for.
  const relaxed = { noUnusedLocals: false, noUnusedParameters: false, noPropertyAccessFromIndexSignature: false };
  Object.assign(compilerOptions, relaxed);
  const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(HERE, "node_modules/typescript/bin/tsc");
  const done = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  assert.equal(done.stdout, "");
}

/** Starts an example as a program of its own; `output` grows while it runs. */
function run(name, environment) {
  const child = spawn(process.execPath, [join(FOLDER, "out", `${name}.js`)], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const running = { child, output: "", ended: once(child, "exit") };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (running.output += part));
  return running;
}

const HERE_IS = () => ({ MAINSPRING_URL: server.url, MAINSPRING_API_KEY: KEY });

async function outputOf(name, environment = HERE_IS()) {
  const running = run(name, environment);
  const [code] = await running.ended;
  assert.equal(code, 0, running.output);
  return running.output;
}

test("the first example makes a job", async () => {
  const output = await outputOf("start");
  const { items } = await client.job.cron.list();
  const job = items.find((one) => one.name === "daily-digest");
  assert.equal(output, `${job.id} fires at ${job.next_run_at}\n`);
});

test("the example of lists shows every job", async () => {
  await client.job.cron.create({ name: "in the list", schedule: "@daily", url: target.url });
  assert.match(await outputOf("lists"), /\d+ on the first page [0-9a-f-]{36}\n(.*\n)*in the list @daily \d{4}-/);
});

test("the example of failures tells what is wrong", async () => {
  assert.match(await outputOf("failures"), /^VALIDATION_FAILED cron_expr - .+ [0-9a-f-]{36}\n$/);
});

test("the worker works, and stops on SIGTERM", async () => {
  await client.job.queue.publish({ queue: "mails", payload: { user: "ada" } });
  const running = run("worker", HERE_IS());
  await until("the mail", () => running.output.includes("mail to ada"));
  await until("the acknowledgement", async () => (await client.job.queue.stats("mails")).in_flight === 0);
  running.child.kill("SIGTERM");
  const [code] = await running.ended;
  assert.equal(code, 0, running.output);
  assert.match(running.output, /1 done, 0 failed\n$/);
});

test("the receiver believes the server, and nobody else", async () => {
  const { receive } = await import(pathToFileURL(join(FOLDER, "out/receiver.js")));
  const url = `${target.url}/signed`;
  const job = await client.job.cron.create({ schedule: "@yearly", url, secret: "a secret of yours", payload: [1] });
  await client.job.cron.trigger(job.id);
  const { body, headers } = await until("the request", () => target.seen.find((got) => got.path === "/signed"));
  const genuine = new Request(url, { method: "POST", body, headers });
  assert.equal((await receive(genuine)).status, 204);
  const forged = new Request(url, { method: "POST", body: "[2]", headers });
  assert.equal((await receive(forged)).status, 401);
});

test("the published example runs with the package's name and the address changed", async () => {
  const TARGET = `${target.url}/published`;
  const output = await outputOf("published", { INFRAI_BASE_URL: server.url, INFRAI_API_KEY: KEY, TARGET });
  const { cron_id, message_id, next_run_at, ...rest } = JSON.parse(output);
  assert.match(cron_id, /^cron_/);
  assert.match(message_id, /^msg_/);
  assert.ok(Date.parse(next_run_at));
  const expected = { name: "daily-digest-published", schedule: "0 9 * * *", url: TARGET, enabled: true, listed: true };
  assert.deepEqual(rest, expected);
});

test("what discovery shows of TypeScript compiles against this client", { timeout: 120_000 }, async () => {
  const { capabilities } = await client.discovery.list();
  const shown = await Promise.all(capabilities.map(({ id }) => client.discovery.get(id)));
  assert.ok(shown.length >= 45);
  const programs = shown.map(({ id, examples }) => [id.replaceAll(".", "-"), examples.typescript]);
  compile(Object.fromEntries(programs), join(HERE, ".try/discovery"));
});

test("the README names every method", () => {
  const methods = [];
  const walk = (place, names) => {
    for (const [name, value] of Object.entries(place)) {
      if (typeof value === "function") methods.push(name);
      else walk(value, [...names, name]);
    }
  };
  walk({ ...client.job, account: client.account, discovery: client.discovery }, []);
  assert.ok(methods.length > 60);
  for (const name of methods) assert.match(README, new RegExp(`[\`{ ,.]${name}[\`} ,]`), name);
});
