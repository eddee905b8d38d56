/** What all calls share: fields, pages, answers. */

/** An ISO-8601 instant, UTC with milliseconds, as the server writes it. */
export type Instant = string;

/** Fields to send: each may be left out (or `undefined`); `null` means the default. */
export type Given<T> = { [K in keyof T]?: T[K] | null | undefined };

/** At least one of the fields `K`, and not null. */
export type AnyOf<T, K extends keyof T> = { [P in K]: { [Q in P]-?: NonNullable<T[Q]> } }[K];

/** A write whose repeats with the same key have one effect, for 24 hours. Without a key the client makes one. */
export type Once = Given<{ idempotency_key: string }>;

/** Addresses something by its id. */
export interface ById {
  id: string;
}

/** Addresses a queue by its name. */
export interface ByQueue {
  queue: string;
}

/** Which page: `cursor` is the `next_cursor` of the one before; `limit` 50 unless given, at most 500. */
export interface PageQuery {
  cursor?: string | null | undefined;
  limit?: number | undefined;
}

/** A page, newest first unless the call says otherwise; `next_cursor` is null on the last. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** What an answer says about itself. */
export interface Metadata {
  request_id: string;
  latency_ms: number;
  cost_usd: number;
  vendor: string;
  cache_hit: boolean;
  /** What of the request was ignored. */
  warnings?: string[];
}

/** A result; `_metadata` is there for you to read and is left out when the result is printed or copied. */
export type Result<T> = T & { readonly _metadata: Metadata };

/** What `X-Infrai-Signature` covers. */
export type SignatureStyle = "body" | "timestamp.body";

/** What counts as success of an attempt: `2xx`, one status or a list; and an RE2 pattern that the body contains. */
export interface Expect {
  status?: "2xx" | number | number[] | null | undefined;
  body_regexp?: string | null | undefined;
}

/** The same, as the server tells it. */
export interface ExpectRecord {
  status: "2xx" | number[];
  body_regexp: string | null;
}
