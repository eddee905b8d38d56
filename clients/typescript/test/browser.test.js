// The same files in an engine that has what browsers have, and nothing of Node.js.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import vm from "node:vm";

import { HERE, KEY, startServer, startSink } from "./rig.js";

const DIST = join(HERE, "dist");
const WEB = ["fetch", "Headers", "URL", "URLSearchParams", "AbortController", "AbortSignal", "TextEncoder"].concat(
  ["TextDecoder", "atob", "crypto", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"],
);

let server, target;
before(async () => {
  [server, target] = await Promise.all([startServer({ MAINSPRING_CORS_ORIGINS: "*" }), startSink()]);
});
after(() => Promise.all([server?.stop(), target?.stop()]));

/** The package's main entry, in a context of its own. */
async function load() {
  const context = vm.createContext(Object.fromEntries(WEB.map((name) => [name, globalThis[name]])));
  const modules = new Map();
  const moduleOf = (path) => {
    const known = modules.get(path);
    if (known) return known;
    const made = new vm.SourceTextModule(readFileSync(path, "utf8"), { context, identifier: path });
    modules.set(path, made);
    return made;
  };
  const entry = moduleOf(join(DIST, "index.js"));
  await entry.link((specifier, from) => {
    assert.match(specifier, /^\.\.?\//, `${from.identifier} imports ${specifier}`);
    return moduleOf(join(from.identifier, "..", specifier));
  });
  await entry.evaluate();
  return entry.namespace;
}

test("it needs nothing but the web's own names", async () => {
  const { MainspringClient, verifyWebhook } = await load();
  const client = new MainspringClient({ apiKey: KEY, baseUrl: server.url });
  const job = await client.job.cron.create({ schedule: "@yearly", url: target.url });
  assert.equal((await client.job.cron.list()).items[0].id, job.id);
  await client.job.queue.publish({ queue: "web", payload: 1 });
  const stop = new AbortController();
  const done = await client.work("web", () => stop.abort(), { signal: stop.signal });
  assert.equal(done.acked, 1);
  const refused = await verifyWebhook("{}", new Headers({ "webhook-timestamp": "1" }), "s").catch((error) => error);
  assert.equal(refused.name, "VerificationError");
});

test("a page may send what it sends, and read what it reads", async () => {
  const asked = await fetch(`${server.url}/v1/cron/create`, {
    method: "OPTIONS",
    headers: {
      Origin: "https://app.example.com",
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    },
  });
  const allowed = asked.headers.get("access-control-allow-headers").toLowerCase().split(", ");
  assert.deepEqual(allowed.sort(), ["authorization", "content-type", "idempotency-key"]);
  const answer = await fetch(`${server.url}/v1/cron/list`, { headers: { Origin: "https://app.example.com" } });
  const exposed = answer.headers.get("access-control-expose-headers").toLowerCase();
  for (const name of ["retry-after", "x-request-id"]) assert.ok(exposed.includes(name), name);
});

test("no file names anything of Node.js", () => {
  for (const name of readdirSync(DIST, { recursive: true }).filter((each) => each.endsWith(".js"))) {
    const text = readFileSync(join(DIST, name), "utf8");
    assert.doesNotMatch(text, /["']node:|\brequire\(|\bBuffer\b|\b__dirname\b/, name);
  }
});
