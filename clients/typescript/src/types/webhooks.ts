/** Webhooks to send, and endpoints that are told of events. */

import type { AnyOf, Given, Instant, Once, Page, PageQuery, SignatureStyle } from "./wire.js";

export type DeliveryState = "queued" | "sending" | "retrying" | "delivered" | "failed" | "cancelled";
/** A coarser state. */
export type DeliveryStatus = "delivered" | "failed" | "pending";
/** How a delivery ended. */
export type DeliveryEnd = "delivered" | "failed" | "cancelled";
export type EndpointState = "active" | "failing" | "resting" | "disabled";

/** The server's own events, and yours. */
export type EventName =
  | "cron.run.failed"
  | "cron.run.recovered"
  | "cron.missed"
  | "queue.dead_lettered"
  | "webhook.endpoint_disabled"
  | "test"
  | (string & {});

/** How often to try, in all or after the first time, and the seconds before each retry, without jitter. */
export type RetryPolicy = Given<{ max_attempts: number; max_retries: number; delays: number[] }>;
/** How many retries, at most 50; the seconds before each of them; or a policy. */
export type Retrying = number | number[] | RetryPolicy;

export type SendFields = Once &
  Given<{
    /** Where it is posted; a 2xx answer is a delivery. */
    url: string;
    /** Any JSON up to 256 KiB; `{}` unless given. */
    payload: unknown;
    event: EventName;
    /** Signs the request. */
    secret: string;
    signature_style: SignatureStyle;
    headers: Record<string, string>;
    /** Ten attempts over three days unless given. */
    retry: Retrying;
    /** Another name of `retry`. */
    retries: Retrying;
    /** Another name of `retry`. */
    retry_policy: Retrying;
    /** Seconds for one whole attempt, 1 to 900; 30 unless given. */
    timeout_seconds: number;
  }>;
/** A webhook: where, and what. */
export type SendOptions = SendFields & { url: string };

export type EmitFields = Once &
  Given<{
    event: EventName;
    /** Another name of `event`. */
    type: EventName;
    /** Another name of `event`. */
    event_type: EventName;
    /** Any JSON up to 256 KiB; `{}` unless given. */
    payload: unknown;
    /** Another name of `payload`. */
    data: unknown;
  }>;
/** An event for every endpoint whose filter matches. */
export type EmitOptions = EmitFields & AnyOf<EmitFields, "event" | "type" | "event_type">;

type AsNew = Given<{
  /** Under an id of its own; otherwise its receiver sees the id of the first delivery. */
  new_id: boolean;
}>;

/** How a delivery is sent once more. */
export type ReplayFields = Once & AsNew;

/** Which deliveries are sent once more, each of them once. */
export type ReplayManyFields = Once &
  AsNew &
  Given<{
    /** How they ended; `failed` unless given. */
    status: DeliveryEnd;
    /** Another name of `status`. */
    state: DeliveryEnd;
    /** Those made from this instant on. */
    since: Instant;
    /** Those made before this instant. */
    until: Instant;
    endpoint_id: string;
    event: EventName;
    /** They are only counted. */
    dry_run: boolean;
    /** At most so many, the oldest first, 1 to 1,000; 1,000 unless given. */
    limit: number;
  }>;

/** What can be said of an endpoint; when updating, what is left out stays. */
export type EndpointFields = Once &
  Given<{
    url: string;
    /** `*`, names, or `prefix.*`; `["*"]` unless given. */
    events: EventName[];
    /** Another name of `events`. */
    event_types: EventName[];
    /** For people. */
    description: string;
    signature_style: SignatureStyle;
    /** Custom headers; shown as `***`, which keeps the stored value when sent back. */
    headers: Record<string, string>;
    /** Ten attempts over three days unless given. */
    retry_policy: Retrying;
    /** Another name of `retry_policy`. */
    retry: Retrying;
    /** Another name of `retry_policy`. */
    retries: Retrying;
    /** Seconds for one whole attempt, 1 to 900; 30 unless given. */
    timeout_seconds: number;
    /** Deliveries in flight at a time, 1 to 100; 8 unless given. */
    max_concurrency: number;
    /** Attempts per second, at most 1,000; without a limit unless given. */
    rate_limit: number;
    /** One at a time, in the order of acceptance; one that fails holds up the others. */
    ordered: boolean;
    /** Switched off, it gets nothing, and what waits fails. */
    enabled: boolean;
  }>;
/** An endpoint to be told of events. */
export type EndpointOptions = EndpointFields &
  Given<{
    /** Signs its deliveries; made when there is none, and shown once. */
    secret: string;
  }> & { url: string };

/** A new secret, made unless given; the one before signs as well for `grace_hours` (24 unless given, at most 168). */
export type RotateSecretFields = Once & Given<{ grace_hours: number; secret: string }>;

export type RecoverFields = Once &
  Given<{
    since: Instant;
    /** At most so many deliveries, the oldest first, 1 to 1,000; 1,000 unless given. */
    limit: number;
  }>;
/** What has failed since then is sent again. */
export type RecoverOptions = RecoverFields & { since: Instant };

/** Which deliveries of an endpoint. */
export interface DeliveriesOfQuery extends PageQuery {
  state?: DeliveryState | undefined;
  /** Another name of `state`. */
  status?: DeliveryState | undefined;
  event?: EventName | undefined;
  since?: Instant | undefined;
  until?: Instant | undefined;
}

/** Which deliveries. */
export interface DeliveriesQuery extends DeliveriesOfQuery {
  /** Only those to this endpoint. */
  endpoint_id?: string | undefined;
}

/** A delivery as writes answer it; `delivery_id` and `id` are equal. */
export interface DeliveryAccepted {
  delivery_id: string;
  id: string;
  state: DeliveryState;
  url: string;
  event: string | null;
  endpoint_id: string | null;
  replay_of: string | null;
  created_at: Instant;
}

/** A delivery as lists show it; `destination_status` and `response_status` are equal. */
export interface DeliveryRecord extends DeliveryAccepted {
  status: DeliveryStatus;
  /** The id that its receiver sees: of a replay, that of the first delivery. */
  webhook_id: string;
  payload: unknown;
  attempt: number;
  attempted_at: Instant | null;
  destination_status: number | null;
  response_status: number | null;
  response_body: string | null;
  error: string | null;
  next_attempt_at: Instant | null;
  finished_at: Instant | null;
}

/** One attempt of a delivery; `finished_at` is null while it is in flight. */
export interface DeliveryAttempt {
  attempt: number;
  started_at: Instant;
  sent_at: Instant | null;
  finished_at: Instant | null;
  response_status: number | null;
  response_body: string | null;
  error: string | null;
}

/** A delivery with its attempts, in order. */
export interface DeliveryWithAttempts extends DeliveryRecord {
  attempts: DeliveryAttempt[];
}

/** The attempts of a delivery, in order. */
export interface DeliveryAttempts {
  delivery_id: string;
  state: DeliveryState;
  items: DeliveryAttempt[];
}

/** What became of an event; `event_id` and `id` are equal. */
export interface EventEmitted {
  event_id: string;
  id: string;
  event: string;
  /** To how many endpoints it goes. */
  deliveries: number;
  delivery_ids: string[];
}

/** What was sent once more. */
export interface Replays {
  dry_run: boolean;
  /** With `dry_run` how many match, otherwise the same as `replayed`. */
  count: number;
  replayed: number;
  /** Whether others match still. */
  more: boolean;
  delivery_ids: string[];
}

/** How often is tried, and when; `delays` is null for the list of Standard Webhooks. */
export interface RetryPolicyRecord {
  max_attempts: number;
  max_retries: number;
  delays: number[] | null;
}

/** An endpoint; `id`, `endpoint_id` and `webhook_id` are equal, and `events` are its filters. */
export interface EndpointRecord {
  id: string;
  endpoint_id: string;
  webhook_id: string;
  url: string;
  events: EventName[];
  description: string;
  enabled: boolean;
  /** `failing` after a failure, `resting` until `resting_until` after many, `disabled` for `disabled_reason`. */
  state: EndpointState;
  disabled_at: Instant | null;
  disabled_reason: string | null;
  failing_since: Instant | null;
  failures_in_a_row: number;
  resting_until: Instant | null;
  headers: Record<string, string> | null;
  signature_style: SignatureStyle;
  retry_policy: RetryPolicyRecord;
  timeout_seconds: number;
  max_concurrency: number;
  rate_limit: number | null;
  ordered: boolean;
  /** Until then the secret before signs as well. */
  previous_secret_valid_until: Instant | null;
  created_at: Instant;
  updated_at: Instant;
}

/** An endpoint with its new secret, which is shown once. */
export interface EndpointWithSecret extends EndpointRecord {
  secret: string | null;
}

/** The endpoint is gone; also when it already was. */
export interface EndpointDeleted {
  id: string;
  endpoint_id: string;
  webhook_id: string;
  deleted: boolean;
}

/** What was sent to an endpoint, newest first; `deliveries` and `items` are equal. */
export interface EndpointDeliveries extends Page<DeliveryRecord> {
  deliveries: DeliveryRecord[];
}
