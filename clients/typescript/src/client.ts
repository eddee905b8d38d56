/** The client: one object per server and key. */

import { accountCalls, discoveryCalls } from "./calls/account.js";
import { cronCalls, runCalls, taskCalls } from "./calls/cron.js";
import { queueCalls } from "./calls/queue.js";
import { webhookCalls } from "./calls/webhook.js";
import type { Capability, Input, Output } from "./capabilities.js";
import { MainspringError } from "./errors.js";
import { ROUTES, type PlainName, type Route, type RouteName } from "./routes.js";
import { callerOf, type Call, type CallOptions, type Patience } from "./transport.js";
import type { ActivateFields } from "./types/account.js";
import { work, type Handler, type WorkDone, type WorkOptions } from "./work.js";

export interface ClientOptions extends Patience {
  /** The project's key; else `MAINSPRING_API_KEY` or `INFRAI_API_KEY` of the environment, where there is one. */
  apiKey?: string | undefined;
  /** The server's address; else `MAINSPRING_URL` or `INFRAI_BASE_URL`, else `http://127.0.0.1:8080`. */
  baseUrl?: string | undefined;
  /** Used instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Calls a Mainspring server: `client.job.cron.create({…})`, one method per capability. Every call throws
 * `MainspringError` when it is refused, or when `deadlineMs` passed without an answer; until then it is tried again,
 * with an idempotency key, so that a repeat has no second effect.
 */
export class MainspringClient {
  /** The server's address, without `/v1`. */
  readonly baseUrl: string;
  /** Cron jobs, one-shot tasks, runs, queues and webhooks. */
  readonly job;
  /** Keys, endpoints, the audit log, and what stands where others send bills. */
  readonly account;
  /** What the server can do. */
  readonly discovery;
  readonly #call: Call;

  constructor(options: ClientOptions = {}) {
    this.baseUrl = addressOf(options.baseUrl ?? fromEnvironment("MAINSPRING_URL", "INFRAI_BASE_URL"));
    const call = callerOf({
      baseUrl: this.baseUrl,
      apiKey: (options.apiKey ?? fromEnvironment("MAINSPRING_API_KEY", "INFRAI_API_KEY"))?.trim(),
      // Browsers refuse a `fetch` that is called as a method of something else.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      timeoutMs: options.timeoutMs ?? 30_000,
      deadlineMs: options.deadlineMs ?? 120_000,
      retries: options.retries ?? 5,
    });
    this.#call = call;
    this.job = {
      cron: cronCalls(call),
      task: taskCalls(call),
      run: runCalls(call),
      queue: queueCalls(call),
      webhook: webhookCalls(call),
    };
    this.account = accountCalls(call);
    this.discovery = discoveryCalls(call);
  }

  /** Get the key of a development server. */
  activate(fields: ActivateFields = {}, options?: CallOptions): Promise<Output<"activate">> {
    return this.#call("activate", fields, options);
  }

  /**
   * Call a capability by its id or its route: `client.call("cron.get", { id })` is the same as
   * `client.call(ROUTES["scheduling.cron.get"], { id })` and `client.job.cron.get(id)`.
   */
  call<N extends RouteName>(
    route: N | (Route & { readonly capability: PlainName<N> }),
    input: Input<PlainName<N>>,
    options?: CallOptions,
  ): Promise<Output<PlainName<N>>>;
  async call(route: RouteName | Route, input: object, options?: CallOptions): Promise<unknown> {
    const found: Route | undefined = typeof route === "string" ? ROUTES[route] : route;
    if (!found) {
      throw new MainspringError({ code: "NOT_FOUND", message: `there is no capability ${JSON.stringify(route)}` });
    }
    return this.#call(found.capability, input as Input<Capability>, options);
  }

  /**
   * Handle the messages of a queue until `options.signal` is aborted: each is acknowledged when `handle` returns,
   * counted as failed when it throws, and kept while it works. Resolves when what was in hand is done. Throws when
   * the server refuses this for good, as with a wrong key.
   */
  work<P = unknown>(queue: string, handle: Handler<P>, options: WorkOptions<P> = {}): Promise<WorkDone> {
    return work(this.#call, queue, handle, options);
  }
}

/** The name that other documentation of this API has for it. */
export { MainspringClient as InfraiClient };

function fromEnvironment(...names: string[]): string | undefined {
  const environment = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env;
  return names.map((name) => environment?.[name]).find(Boolean);
}

function addressOf(given: string = "http://127.0.0.1:8080"): string {
  let url: URL | undefined;
  try {
    url = new URL(given);
  } catch {
    // Told below, as the others are.
  }
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new MainspringError({
      code: "MISCONFIGURED",
      // Not repeated: a password may be in it.
      message: "baseUrl is not the address of a server",
      hint: "Give a baseUrl like http://127.0.0.1:8080, without key, query or fragment.",
    });
  }
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "").replace(/\/+$/, "");
}
