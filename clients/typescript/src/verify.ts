/** Checks that a request really comes from the server: signatures of webhooks, pushes and cron calls. */

/** Headers in any of the forms that servers and frameworks have for them. */
export type IncomingHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VerifyOptions {
  /**
   * What is checked: `webhook-signature` of Standard Webhooks (`standard`, unless given), or `X-Infrai-Signature` over
   * the `body` or over `timestamp.body`. With `body` an old request can be sent again by others: tell repeats by `id`.
   */
  scheme?: "standard" | "body" | "timestamp.body" | undefined;
  /** Seconds that the timestamp may be off, either way; 300 unless given. */
  toleranceSeconds?: number | undefined;
  /** Unix seconds; now unless given. */
  nowSeconds?: number | undefined;
}

/** A request that is genuine. `id` is the same for every attempt of one delivery. */
export interface Verified {
  readonly id: string;
  readonly timestamp: Date;
  /** The body as JSON; as text when it is none. */
  readonly payload: unknown;
}

/** Why a request is not to be believed. */
export class VerificationError extends Error {
  override readonly name = "VerificationError";
}

/**
 * The request, if it is genuine. `body` is the raw body, byte for byte as it came in, not parsed and written again;
 * `secret` one secret, or several while one replaces another. Throws `VerificationError` otherwise, and `TypeError`
 * for a secret that is none. Standard Webhooks 1.0.0, `v1`; bare hexadecimal HMAC-SHA256.
 */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: IncomingHeaders,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<Verified> {
  const { scheme = "standard", toleranceSeconds = 300, nowSeconds = Date.now() / 1000 } = options;
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const keys = await Promise.all([secret].flat().map(keyOf));
  if (keys.length === 0) throw new TypeError("there is no secret to verify with");
  const id = headerOf(headers, "webhook-id");
  const stamp = headerOf(headers, scheme === "standard" ? "webhook-timestamp" : "x-infrai-timestamp");
  if (!/^\d{1,12}$/.test(stamp)) throw new VerificationError("the timestamp is missing or not a number");
  const candidates = scheme === "standard" ? standardOf(headers) : bareOf(headers);
  const content = contentOf(scheme, id, stamp, bytes);
  if (!(await anyMatches(keys, candidates, content))) throw new VerificationError("no signature matches");
  if (Math.abs(nowSeconds - Number(stamp)) > toleranceSeconds) throw new VerificationError("too old, or too new");
  return { id, timestamp: new Date(Number(stamp) * 1000), payload: parsed(bytes) };
}

function contentOf(scheme: string, id: string, stamp: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const prefix = { standard: `${id}.${stamp}.`, "timestamp.body": `${stamp}.` }[scheme] ?? "";
  const head = new TextEncoder().encode(prefix);
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}

async function anyMatches(
  keys: readonly CryptoKey[],
  candidates: readonly Uint8Array<ArrayBuffer>[],
  content: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const pairs = keys.flatMap((key) => candidates.map((candidate) => ({ key, candidate })));
  // `verify` compares in constant time.
  const matches = await Promise.all(
    pairs.map(({ key, candidate }) => crypto.subtle.verify("HMAC", key, candidate, content)),
  );
  return matches.includes(true);
}

/** The key of a secret: after `whsec_` the base64 of 24 to 64 bytes, else 1 to 256 bytes of UTF-8. */
async function keyOf(secret: string): Promise<CryptoKey> {
  const encoded = secret.startsWith("whsec_") ? fromBase64(secret.slice("whsec_".length)) : undefined;
  const bytes = secret.startsWith("whsec_") ? encoded : new TextEncoder().encode(secret);
  const [least, most] = secret.startsWith("whsec_") ? [24, 64] : [1, 256];
  if (!bytes || bytes.length < least || bytes.length > most) {
    throw new TypeError(`a secret is whsec_ and base64 of 24 to 64 bytes, or a text of 1 to 256 bytes`);
  }
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function standardOf(headers: IncomingHeaders): Uint8Array<ArrayBuffer>[] {
  const entries = headerOf(headers, "webhook-signature").split(" ");
  const encoded = entries.filter((entry) => entry.startsWith("v1,")).map((entry) => fromBase64(entry.slice(3)));
  return encoded.filter((bytes) => bytes !== undefined);
}

function bareOf(headers: IncomingHeaders): Uint8Array<ArrayBuffer>[] {
  const hex = headerOf(headers, "x-infrai-signature");
  if (!/^[0-9a-f]{64}$/i.test(hex)) return [];
  return [Uint8Array.from({ length: 32 }, (_, at) => parseInt(hex.slice(2 * at, 2 * at + 2), 16))];
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** A header in any case; empty when it is missing or there are several. */
function headerOf(headers: IncomingHeaders, name: string): string {
  if (typeof Headers !== "undefined" && headers instanceof Headers) return headers.get(name) ?? "";
  const found = Object.entries(headers).filter(([each]) => each.toLowerCase() === name);
  const value = found.length === 1 ? found[0]?.[1] : undefined;
  const only: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  return typeof only === "string" ? only : "";
}

function parsed(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
