/** What goes wrong, as one class: whatever failed, it tells a code, what happened and what to do about it. */

/** The server's codes, then those of the client itself. */
export type ErrorCode =
  | "INVALID_JSON"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "LEASE_EXPIRED"
  | "QUEUE_IN_USE"
  | "PAYLOAD_TOO_LARGE"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "VALIDATION_FAILED"
  | "IDEMPOTENCY_MISMATCH"
  | "TARGET_FORBIDDEN"
  | "NEVER_FIRES"
  | "RATE_LIMITED"
  | "QUEUE_FULL"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNREACHABLE"
  | "TIMEOUT"
  | "UNEXPECTED_ANSWER"
  | "MISCONFIGURED"
  | (string & {});

export interface ErrorFacts {
  code: ErrorCode;
  message: string;
  hint?: string | undefined;
  field?: string | undefined;
  requestId?: string | undefined;
  status?: number | undefined;
  retryable?: boolean | undefined;
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

/**
 * A call that did not succeed. `status` is the HTTP status, 0 when there was no answer; `field` names the input at
 * fault; `requestId` finds the request in the server's log; `retryable` says that the same may succeed later.
 */
export class MainspringError extends Error {
  override readonly name = "MainspringError";
  readonly code: ErrorCode;
  readonly hint: string;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;

  constructor(facts: ErrorFacts) {
    const shown = facts.hint ? `${facts.message} (${facts.hint})` : facts.message;
    super(`${facts.code}: ${shown}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.hint = facts.hint ?? "";
    this.field = facts.field;
    this.requestId = facts.requestId;
    this.status = facts.status ?? 0;
    this.retryable = facts.retryable ?? false;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }
}
