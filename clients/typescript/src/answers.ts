/** What comes back: the envelope of every answer, read. Pure. */

import { MainspringError } from "./errors.js";
import type { Metadata } from "./types/wire.js";

/** What is read of a response besides its text. */
interface Head {
  readonly status: number;
  readonly headers: Headers;
}

/** Of answers that are not the server's own: a proxy that may have a server behind it again in a moment. */
const PASSING = new Set([429, 500, 502, 503, 504]);

/** The result of a success, with its metadata unless it is `bare`; an error when it is no answer of this server. */
export function answered(head: Head, text: string, bare: boolean): unknown {
  const envelope = read(text);
  if (bare) return envelope ?? strange(head, text);
  if (envelope?.["ok"] !== true || !isRecord(envelope["data"])) return strange(head, text);
  const metadata = (isRecord(envelope["metadata"]) ? envelope["metadata"] : {}) as unknown as Metadata;
  return Object.defineProperty(envelope["data"], "_metadata", { value: metadata, enumerable: false });
}

/** The error that a refusal stands for. */
export function refused(head: Head, text: string): MainspringError {
  const envelope = read(text);
  const error = envelope?.["error"];
  if (!isRecord(error) || typeof error["code"] !== "string") return strange(head, text);
  const metadata = isRecord(envelope?.["metadata"]) ? envelope["metadata"] : {};
  return new MainspringError({
    code: error["code"],
    message: textOf(error["message"]) ?? "refused",
    hint: textOf(error["hint"]),
    field: textOf(error["field"]),
    requestId: textOf(metadata["request_id"]) ?? head.headers.get("x-request-id") ?? undefined,
    status: head.status,
    retryable: error["retryable"] === true,
    retryAfterSeconds: retryAfter(head.headers),
  });
}

/** Seconds of a `Retry-After` header, in either of its forms (RFC 9110 section 10.2.3); undefined without one. */
export function retryAfter(headers: Headers, now: number = Date.now()): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const at = /[A-Za-z]/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, (at - now) / 1000);
}

function strange(head: Head, text: string): MainspringError {
  const target = head.headers.get("location");
  const excerpt = text.replace(/\s+/g, " ").slice(0, 200);
  return new MainspringError({
    code: "UNEXPECTED_ANSWER",
    message: `HTTP ${head.status} without the envelope of this API${excerpt ? `: ${excerpt}` : ""}`,
    hint: target ? `It redirects to ${target}; give that as baseUrl.` : "Check that baseUrl is the server's address.",
    status: head.status,
    requestId: head.headers.get("x-request-id") ?? undefined,
    retryable: PASSING.has(head.status),
    retryAfterSeconds: retryAfter(head.headers),
  });
}

function read(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
