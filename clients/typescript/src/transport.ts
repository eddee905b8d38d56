/** Sends calls: one deadline, several attempts, one effect. */

import { answered, refused } from "./answers.js";
import type { Capability, Input, Output } from "./capabilities.js";
import { MainspringError } from "./errors.js";
import { planned, type Planned } from "./request.js";
import type { Route } from "./routes.js";
import { ROUTES } from "./routes.js";
import { linked, pause, randomId } from "./timing.js";

/** How patient calls are. */
export interface Patience {
  /** Milliseconds for one attempt, besides what a `consume` waits; 30,000 unless given. */
  timeoutMs?: number | undefined;
  /** Milliseconds for the whole call with its retries; 120,000 unless given. */
  deadlineMs?: number | undefined;
  /** Attempts after the first; 5 unless given. */
  retries?: number | undefined;
}

/** About one call. */
export interface CallOptions extends Patience {
  /** The same key has one effect for 24 hours. The client makes one for each write unless given. */
  idempotencyKey?: string | undefined;
  /** Ends the call; it throws the signal's reason. Whether the server has done it is then unknown. */
  signal?: AbortSignal | undefined;
}

/** Calls a capability. */
export type Call = <C extends Capability>(capability: C, input: Input<C>, options?: CallOptions) => Promise<Output<C>>;

/** Where calls go. */
export interface Server extends Required<{ [K in keyof Patience]: number }> {
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof globalThis.fetch;
}

const BACKOFF_MS = 250;
const BACKOFF_MS_MAX = 8_000;

/** A function that calls capabilities of `server`. It throws `MainspringError`, or the reason of an aborted signal. */
export function callerOf(server: Server): Call {
  return async <C extends Capability>(capability: C, input: Input<C>, options: CallOptions = {}) => {
    const route: Route = ROUTES[capability];
    const fields = repeatable(capability, input);
    const request = planned(route, fields, keyOf(route, fields, options));
    const limits = {
      timeoutMs: (options.timeoutMs ?? server.timeoutMs) + 1000 * secondsOf(fields["wait_seconds"]),
      deadlineMs: options.deadlineMs ?? server.deadlineMs,
      retries: options.retries ?? server.retries,
    };
    return (await persistent(server, route, request, limits, options.signal)) as Output<C>;
  };
}

/** With what makes another attempt at a `consume` get the messages whose answer was lost. */
function repeatable(capability: Capability, input: object): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...input };
  if (capability === "queue.consume") fields["receive_attempt_id"] ??= randomId();
  return fields;
}

function keyOf(route: Route, fields: Record<string, unknown>, options: CallOptions): string | undefined {
  if (!route.idempotent) return undefined;
  const named = options.idempotencyKey ?? fields["idempotency_key"];
  return typeof named === "string" ? named : randomId();
}

function secondsOf(value: unknown): number {
  return typeof value === "number" && value > 0 ? value : 0;
}

/** Attempts until one succeeds, cannot succeed, or there is no time for another: full jitter after `Retry-After`. */
async function persistent(
  server: Server,
  route: Route,
  request: Planned,
  limits: Required<{ [K in keyof Patience]: number }>,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const end = performance.now() + limits.deadlineMs;
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const left = end - performance.now();
    const outcome = await once(server, route, request, Math.min(limits.timeoutMs, left), signal);
    if (!(outcome instanceof MainspringError)) return outcome;
    const jitter = Math.random() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** attempt);
    const wait = (outcome.retryAfterSeconds ?? 0) * 1000 + jitter;
    if (!outcome.retryable || attempt >= limits.retries || performance.now() + wait >= end) throw outcome;
    await pause(wait, signal);
  }
}

/** One attempt: its result, or why there is none. Throws only the reason of the caller's own signal. */
async function once(
  server: Server,
  route: Route,
  request: Planned,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json", ...request.headers };
  if (server.apiKey) headers["Authorization"] = `Bearer ${server.apiKey}`;
  const limit = linked(signal, timeoutMs);
  try {
    const response = await server.fetch(server.baseUrl + request.path, {
      method: request.method,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      // An answer from elsewhere is not the server's, and following would make a POST a GET.
      redirect: "manual",
      credentials: "omit",
      cache: "no-store",
      signal: limit.signal,
    });
    const text = await response.text();
    return response.ok ? answered(response, text, route.bare) : refused(response, text);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (limit.expired()) return tooSlow(request, timeoutMs, error);
    return unreachable(server, error);
  } finally {
    limit.clear();
  }
}

function tooSlow(request: Planned, timeoutMs: number, cause: unknown): MainspringError {
  return new MainspringError({
    code: "TIMEOUT",
    message: `${request.method} ${request.path.split("?")[0]} had no answer within ${Math.round(timeoutMs)} ms`,
    hint: "Give timeoutMs and deadlineMs more, or look at the server.",
    retryable: true,
    cause,
  });
}

function unreachable(server: Server, cause: unknown): MainspringError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : "";
  return new MainspringError({
    code: "UNREACHABLE",
    message: `no answer from ${server.baseUrl}${inner}`,
    hint: "Check baseUrl, and that the server runs; in a browser also MAINSPRING_CORS_ORIGINS.",
    retryable: true,
    cause,
  });
}
