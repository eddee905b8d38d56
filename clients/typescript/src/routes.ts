/** Every capability of the server with its place; `scheduling.…` are other names of the same. */

import type { Capability } from "./capabilities.js";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Where a capability is. Fields that stand in `path` as `{field}` go there; the rest is the query or the body. */
export interface Route {
  readonly capability: Capability;
  readonly method: HttpMethod;
  readonly path: string;
  /** Whether the answer comes without an envelope. */
  readonly bare: boolean;
  /** Whether the server takes an `Idempotency-Key`; then the client sends one. */
  readonly idempotent: boolean;
}

const places = {
  "cron.create": ["POST", "/v1/cron/create", "once"],
  "cron.list": ["GET", "/v1/cron/list"],
  "cron.get": ["GET", "/v1/cron/get/{id}"],
  "cron.update": ["PATCH", "/v1/cron/update/{id}", "once"],
  "cron.delete": ["DELETE", "/v1/cron/delete/{id}", "once"],
  "cron.pause": ["POST", "/v1/cron/pause/{id}", "once"],
  "cron.resume": ["POST", "/v1/cron/resume/{id}", "once"],
  "cron.trigger": ["POST", "/v1/cron/trigger/{id}", "once"],
  "cron.runs.get": ["GET", "/v1/cron/runs/get/{id}/{run_id}"],
  "cron.runs.list": ["GET", "/v1/cron/runs/list/{id}"],
  "cron.retention.get": ["GET", "/v1/cron/retention/get/{id}"],
  "cron.retention.set": ["PUT", "/v1/cron/retention/set/{id}", "once"],
  "cron.preview": ["GET", "/v1/cron/preview"],
  "cron.occurrences.list": ["GET", "/v1/cron/occurrences/list/{id}"],

  "task.schedule": ["POST", "/v1/scheduling/task/schedule", "once"],
  "task.get": ["GET", "/v1/scheduling/task/get/{id}"],
  "task.list": ["GET", "/v1/scheduling/task/list"],
  "task.cancel": ["DELETE", "/v1/scheduling/task/cancel/{id}", "once"],
  "run.list": ["GET", "/v1/scheduling/run/list"],
  "run.get": ["GET", "/v1/scheduling/run/get/{id}"],
  "run.replay": ["POST", "/v1/scheduling/run/replay/{id}", "once"],

  "queue.create": ["POST", "/v1/queue/create", "once"],
  "queue.list": ["GET", "/v1/queue/list"],
  "queue.get": ["GET", "/v1/queue/get/{queue}"],
  "queue.update": ["PATCH", "/v1/queue/update/{queue}", "once"],
  "queue.delete": ["DELETE", "/v1/queue/delete/{queue}", "once"],
  "queue.purge": ["POST", "/v1/queue/purge/{queue}", "once"],
  "queue.pause": ["POST", "/v1/queue/pause/{queue}", "once"],
  "queue.resume": ["POST", "/v1/queue/resume/{queue}", "once"],
  "queue.stats": ["GET", "/v1/queue/stats/{queue}"],
  "queue.publish": ["POST", "/v1/queue/publish", "once"],
  "queue.publish_batch": ["POST", "/v1/queue/publish_batch", "once"],
  "queue.consume": ["POST", "/v1/queue/consume"],
  "queue.peek": ["GET", "/v1/queue/peek/{queue}"],
  "queue.ack": ["POST", "/v1/queue/ack", "once"],
  "queue.ack_batch": ["POST", "/v1/queue/ack_batch", "once"],
  "queue.nack": ["POST", "/v1/queue/nack", "once"],
  "queue.release": ["POST", "/v1/queue/release", "once"],
  "queue.extend": ["POST", "/v1/queue/extend", "once"],
  "queue.dlq.list": ["GET", "/v1/queue/dlq/list/{queue}"],
  "queue.dlq.redrive": ["POST", "/v1/queue/dlq/redrive/{queue}", "once"],
  "queue.push_subscribe": ["POST", "/v1/queue/push_subscribe/{queue}", "once"],
  "queue.push_list": ["GET", "/v1/queue/push_list/{queue}"],
  "queue.push_unsubscribe": ["DELETE", "/v1/queue/push_unsubscribe/{queue}/{subscription_id}", "once"],
  "queue.push_deliveries": ["GET", "/v1/queue/push_deliveries/{queue}"],

  "account.keys.list": ["GET", "/v1/account/keys/list"],
  "account.keys.create": ["POST", "/v1/account/keys/create", "once"],
  "account.keys.rotate": ["POST", "/v1/account/keys/rotate/{id}", "once"],
  "account.keys.revoke": ["DELETE", "/v1/account/keys/revoke/{id}", "once"],
  "account.balance": ["GET", "/v1/account/balance"],
  "account.topup": ["POST", "/v1/account/topup", "once"],
  "account.audit.list": ["GET", "/v1/account/audit/list"],
  activate: ["POST", "/v1/activate"],

  "webhook.send": ["POST", "/v1/scheduling/webhook/send", "once"],
  "webhook.get": ["GET", "/v1/webhook/get/{id}"],
  "webhook.list": ["GET", "/v1/webhook/list"],
  "webhook.attempts": ["GET", "/v1/webhook/attempts/{id}"],
  "webhook.replay": ["POST", "/v1/webhook/replay/{id}", "once"],
  "webhook.replay_many": ["POST", "/v1/webhook/replay", "once"],
  "webhook.cancel": ["POST", "/v1/webhook/cancel/{id}", "once"],
  "webhook.emit": ["POST", "/v1/webhook/emit", "once"],
  "account.webhooks.register": ["POST", "/v1/account/webhooks/register", "once"],
  "account.webhooks.list": ["GET", "/v1/account/webhooks/list"],
  "account.webhooks.get": ["GET", "/v1/account/webhooks/get/{id}"],
  "account.webhooks.update": ["PATCH", "/v1/account/webhooks/update/{id}", "once"],
  "account.webhooks.delete": ["DELETE", "/v1/account/webhooks/delete/{id}", "once"],
  "account.webhooks.test": ["POST", "/v1/account/webhooks/test/{id}", "once"],
  "account.webhooks.rotate": ["POST", "/v1/account/webhooks/rotate/{id}", "once"],
  "account.webhooks.recover": ["POST", "/v1/account/webhooks/recover/{id}", "once"],
  "account.webhooks.deliveries": ["GET", "/v1/account/webhooks/deliveries/{id}"],

  "discovery.list": ["GET", "/v1/discovery", "bare"],
  "discovery.get": ["GET", "/v1/discovery/{capability}", "bare"],
} as const satisfies Record<Capability, readonly [HttpMethod, string, ("once" | "bare")?]>;

/** A capability by its id, or by its id after `scheduling.`. */
export type RouteName = Capability | `scheduling.${Capability}`;

/** Every route by its capability, like `ROUTES["cron.list"]` or `ROUTES["scheduling.cron.list"]`. */
export const ROUTES = Object.freeze(
  Object.fromEntries(
    Object.entries(places).flatMap(([capability, [method, path, kind]]) => {
      const route = Object.freeze({ capability, method, path, idempotent: kind === "once", bare: kind === "bare" });
      return [
        [capability, route],
        [`scheduling.${capability}`, route],
      ];
    }),
  ),
) as { readonly [N in RouteName]: Route & { readonly capability: PlainName<N> } };

/** The capability that a name stands for. */
export type PlainName<N extends RouteName> = N extends `scheduling.${infer C extends Capability}`
  ? C
  : N extends Capability
    ? N
    : never;
