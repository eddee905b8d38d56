/** `client.account` and `client.discovery`. */

import type { Call, CallOptions } from "../transport.js";
import type { AuditQuery, KeyOptions, KeysQuery, RevokeFields, RotateFields, TopupFields } from "../types/account.js";
import type {
  DeliveriesOfQuery,
  EndpointFields,
  EndpointOptions,
  RecoverOptions,
  RotateSecretFields,
} from "../types/webhooks.js";
import type { Once, PageQuery } from "../types/wire.js";

/** Keys, endpoints, the audit log, and what stands where others send bills. */
export const accountCalls = (call: Call) => ({
  keys: {
    /** List keys without their secrets, newest first. */
    list: (query: KeysQuery = {}, options?: CallOptions) => call("account.keys.list", query, options),
    /** Create a key; its secret is shown in this answer only. */
    create: (fields: KeyOptions, options?: CallOptions) => call("account.keys.create", fields, options),
    /** Create a key in place of another, which stays valid for `grace_hours`. */
    rotate: (id: string, fields: RotateFields = {}, options?: CallOptions) =>
      call("account.keys.rotate", { ...fields, id }, options),
    /** Revoke a key at once. */
    revoke: (id: string, fields: RevokeFields = {}, options?: CallOptions) =>
      call("account.keys.revoke", { ...fields, id }, options),
  },
  /** Endpoints that are told of events. */
  webhooks: {
    /** Register an endpoint; its secret is shown in this answer only. */
    register: (fields: EndpointOptions, options?: CallOptions) => call("account.webhooks.register", fields, options),
    /** List endpoints, newest first. */
    list: (query: PageQuery = {}, options?: CallOptions) => call("account.webhooks.list", query, options),
    /** Get an endpoint and how it is doing. */
    get: (id: string, options?: CallOptions) => call("account.webhooks.get", { id }, options),
    /** Change an endpoint, or switch it on or off; what the fields do not name stays. */
    update: (id: string, fields: EndpointFields, options?: CallOptions) =>
      call("account.webhooks.update", { ...fields, id }, options),
    /** Delete an endpoint; what waits is cancelled. */
    delete: (id: string, fields: Once = {}, options?: CallOptions) =>
      call("account.webhooks.delete", { ...fields, id }, options),
    /** Send an endpoint the event `test`, whatever it listens for. */
    test: (id: string, fields: Once = {}, options?: CallOptions) =>
      call("account.webhooks.test", { ...fields, id }, options),
    /** Give an endpoint a new secret; both sign for a while. */
    rotate: (id: string, fields: RotateSecretFields = {}, options?: CallOptions) =>
      call("account.webhooks.rotate", { ...fields, id }, options),
    /** Send an endpoint again what has failed since an instant. */
    recover: (id: string, fields: RecoverOptions, options?: CallOptions) =>
      call("account.webhooks.recover", { ...fields, id }, options),
    /** List what was sent to an endpoint, newest first. */
    deliveries: (id: string, query: DeliveriesOfQuery = {}, options?: CallOptions) =>
      call("account.webhooks.deliveries", { ...query, id }, options),
  },
  audit: {
    /** List who changed what, newest first. */
    list: (query: AuditQuery = {}, options?: CallOptions) => call("account.audit.list", query, options),
  },
  /** Tells that nothing costs anything. */
  balance: (options?: CallOptions) => call("account.balance", {}, options),
  /** Tells that nothing has to be paid. */
  topup: (fields: TopupFields = {}, options?: CallOptions) => call("account.topup", fields, options),
});

/** What the server can do; needs no key. */
export const discoveryCalls = (call: Call) => ({
  /** List every capability. */
  list: (options?: CallOptions) => call("discovery.list", {}, options),
  /** Get one capability with its parameters, errors and examples. */
  get: (capability: string, options?: CallOptions) => call("discovery.get", { capability }, options),
});
