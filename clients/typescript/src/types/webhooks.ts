/** Webhooks to send, and endpoints that are told of events. */

import type { Given, Instant, Once, Page, PageQuery, SignatureStyle } from "./wire.js";

export type DeliveryState = "queued" | "sending" | "retrying" | "delivered" | "failed" | "cancelled";

/** The server's own events, and yours. */
export type EventName =
  | "cron.run.failed"
  | "cron.run.recovered"
  | "cron.missed"
  | "queue.dead_lettered"
  | "webhook.endpoint_disabled"
  | "test"
  | (string & {});

export type SendFields = Once &
  Given<{
    url: string;
    /** Any JSON up to 256 KiB. */
    payload: unknown;
    event: EventName;
    /** Signs the request. */
    secret: string;
    signature_style: SignatureStyle;
    headers: Record<string, string>;
    retry: number;
    /** Seconds for one whole attempt; 30 unless given. */
    timeout_seconds: number;
  }>;
/** A webhook: where, and what. */
export type SendOptions = SendFields & { url: string; payload: unknown };

export type EmitFields = Once & Given<{ event: EventName; payload: unknown }>;
/** An event for every endpoint whose filter matches. */
export type EmitOptions = EmitFields & { event: EventName };

/** Which deliveries are sent once more; with `dry_run` they are only counted. */
export type ReplayFields = Once &
  Given<{ status: DeliveryState; since: Instant; until: Instant; dry_run: boolean }>;

export type EndpointFields = Once &
  Given<{
    url: string;
    /** `*`, names, or names with `*` at the end; `["*"]` unless given. */
    events: EventName[];
    description: string;
    /** Made when there is none, and shown once. */
    secret: string;
    signature_style: SignatureStyle;
    retry_policy: Given<{ max_attempts: number; max_retries: number }>;
    headers: Record<string, string>;
  }>;
/** An endpoint to be told of events. */
export type EndpointOptions = EndpointFields & { url: string };

/** A new secret; both sign for `grace_hours`. */
export type RotateSecretFields = Once & Given<{ grace_hours: number }>;
/** What has failed since then is sent again. */
export type RecoverFields = Once & Given<{ since: Instant }>;

/** Which deliveries. */
export interface DeliveriesQuery extends PageQuery {
  state?: DeliveryState | undefined;
  since?: Instant | undefined;
  until?: Instant | undefined;
}

/** A delivery on its way; `delivery_id` and `id` are equal. */
export interface DeliverySent {
  delivery_id: string;
  id: string;
  state: DeliveryState;
}

export interface DeliveryRecord extends DeliverySent {
  url: string;
  event: string | null;
}

/** One attempt of a delivery. */
export interface DeliveryAttempt {
  attempt: number;
  started_at: Instant;
  finished_at: Instant | null;
  response_status: number | null;
  error: string | null;
}

/** An endpoint; `events` are its filters. */
export interface EndpointRecord {
  id: string;
  url: string;
  events: EventName[];
}

/** An endpoint with its secret, which is shown once. */
export interface EndpointCreated extends EndpointRecord {
  secret: string | null;
}

/** What was sent to an endpoint. */
export interface LoggedDelivery {
  id: string;
  event: string;
  status: "delivered" | "failed" | "pending";
  attempted_at: Instant | null;
  destination_status: number | null;
  payload: unknown;
}

/** What was sent to an endpoint, newest first; `deliveries` and `items` are equal. */
export interface DeliveryLog extends Page<LoggedDelivery> {
  deliveries: LoggedDelivery[];
}
