/** Keys, the audit log, and what stands where others send bills. */

import type { Given, Instant, Once, PageQuery } from "./wire.js";

/** What a key may do, like `cron:read`; everything except `admin` unless said. */
export type Scope =
  | "cron:read"
  | "cron:write"
  | "queue:publish"
  | "queue:consume"
  | "webhook:read"
  | "webhook:write"
  | "metrics:read"
  | "admin"
  | (string & {});

type OfProject = Given<{ project_id: string }>;

export type KeyFields = Once & OfProject & Given<{ name: string; scopes: Scope[]; expires_at: Instant }>;
/** A new key. */
export type KeyOptions = KeyFields & { name: string };
/** A key in place of another, which stays valid for `grace_hours` (24 unless given). */
export type RotateFields = Once & OfProject & Given<{ grace_hours: number }>;
export type RevokeFields = Once & OfProject;

/** Accepted for the sake of clients that pay elsewhere. */
export type TopupFields = Once &
  Given<{ amount_usd: number; amount: number; currency: string; payment_method: string; return_url: string }>;
export type ActivateFields = Given<{ region: string; device_kind: string }>;

/** Which keys. */
export interface KeysQuery extends PageQuery {
  project_id?: string | undefined;
}

/** A key without its secret; `shown` is enough of it to tell keys apart. */
export interface KeyRecord {
  id: string;
  key_id: string;
  name: string;
  project_id: string;
  scopes: string[];
  shown: string;
  bootstrap: boolean;
  created_at: Instant;
  expires_at: Instant | null;
  last_used_at: Instant | null;
  revoked_at: Instant | null;
}

/** A new key; `key` is shown once. */
export interface KeyCreated extends KeyRecord {
  key: string | null;
}

export interface KeyRevoked {
  id: string;
  key_id: string;
  revoked: boolean;
  deleted: boolean;
}

/** Which entries of the audit log. */
export interface AuditQuery extends PageQuery {
  project_id?: string | undefined;
  since?: Instant | undefined;
  /** Only this one, like `cron.update`. */
  operation?: string | undefined;
  /** Only what was done to this, by its id or name. */
  object?: string | undefined;
  /** Only what was done with this key. */
  key_id?: string | undefined;
}

/** One entry of the audit log: who changed what. `fields`: what was given, never the values. */
export interface AuditRecord {
  id: string;
  at: Instant;
  project_id: string;
  operation: string;
  object: string;
  fields: string[];
  key_id: string | null;
  key_shown: string;
  ip: string;
  request_id: string;
  hash: string;
}

/** Nothing costs anything here. */
export interface Balance {
  balance_usd: number;
  currency: string;
}

export interface Topup {
  state: "not_required";
  topup_id: null;
  amount_usd: number;
  checkout_url: null;
  next_action_url: null;
}

/** The key of a development server. */
export interface Activation {
  account_id: string;
  project_id: string;
  primary_api_key: string;
  trial_credit_usd: number;
  checkout_url: null;
}
