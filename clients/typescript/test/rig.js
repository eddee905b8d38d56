// A real server process, and HTTP servers of our own that stand before it, behind it or in place of it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const HERE = fileURLToPath(new URL("../", import.meta.url));
export const KEY = "typescript-client-key-0123456789";
const COMMAND = process.env.MAINSPRING_COMMAND ?? join(ROOT, ".venv/bin/mainspring");

/** Waits until `condition` gives a true value, and returns it. */
export async function until(what, condition, seconds = 30) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await sleep(20);
  }
}

/** `mainspring serve` on a data directory of its own: `{ url, stop }`. */
export async function startServer(environment = {}) {
  const data = mkdtempSync(join(tmpdir(), "mainspring-client-"));
  const inherited = Object.entries(process.env).filter(([name]) => !/^(MAINSPRING|INFRAI)_/.test(name));
  const child = spawn(COMMAND, ["serve", "--port", "0", "--data", data], {
    env: {
      ...Object.fromEntries(inherited),
      MAINSPRING_API_KEY: KEY,
      MAINSPRING_ALLOW_TARGETS: "127.0.0.0/8",
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (log += part));
  const ended = once(child, "exit");
  const url = await until("the server to start", async () => {
    if (child.exitCode !== null) throw new Error(`the server ended:\n${log}`);
    const credentials = join(data, "credentials.json");
    if (!existsSync(credentials)) return undefined;
    try {
      const found = JSON.parse(readFileSync(credentials, "utf8")).url;
      return (await fetch(`${found}/readyz`)).ok ? found : undefined;
    } catch {
      return undefined;
    }
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  return { url, stop };
}

/** An HTTP server: `handle` gets each request with its body; `seen` keeps them. */
export async function startSink(handle = (_, response) => response.end("ok")) {
  const seen = [];
  const server = createServer(async (incoming, response) => {
    const parts = [];
    for await (const part of incoming) parts.push(part);
    const got = {
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
      body: Buffer.concat(parts),
    };
    seen.push(got);
    await handle(got, response, incoming);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { url: `http://127.0.0.1:${server.address().port}`, seen, stop };
}

/** Sends a request that a sink has seen on to `url`, and returns `{ status, headers, body }`. */
export function forward(url, got) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url + got.path, { method: got.method, headers: got.headers }, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
    });
    outgoing.on("error", reject);
    outgoing.end(got.body);
  });
}

/** Writes an answer of the server's form. */
export function answer(response, status, content, headers = {}) {
  const ok = status === 200;
  const metadata = { request_id: "r-1", latency_ms: 1, cost_usd: 0, vendor: "mainspring", cache_hit: false };
  const body = { ok, data: ok ? content : null, error: ok ? null : content, metadata };
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
}
