/** Waiting, and names that nobody else has. */

/**
 * The time in 48 bits, then 80 random bits, in hexadecimal. Names made one after the other lie side by side in the
 * server's index, which spares it a page for each. `crypto.randomUUID` would need a page served over TLS.
 */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return Date.now().toString(16).padStart(12, "0") + random;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason when that comes first. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A signal that ends with `signal` or after `ms` milliseconds. */
export interface Limit {
  readonly signal: AbortSignal;
  /** Whether it was the time that ended it. */
  expired(): boolean;
  /** To be called when it is of no use any more. */
  clear(): void;
}

/** See `Limit`. */
export function linked(signal: AbortSignal | undefined, ms: number): Limit {
  const controller = new AbortController();
  let expired = false;
  const stop = () => controller.abort(signal?.reason);
  const timer = setTimeout(() => {
    expired = true;
    controller.abort();
  }, Math.max(0, ms));
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  return {
    signal: controller.signal,
    expired: () => expired,
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    },
  };
}
