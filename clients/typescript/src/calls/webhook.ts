/** `client.job.webhook`. */

import type { Call, CallOptions } from "../transport.js";
import type { DeliveriesQuery, EmitOptions, ReplayFields, ReplayManyFields, SendOptions } from "../types/webhooks.js";
import type { Once } from "../types/wire.js";

/** Webhooks, and what became of them. */
export const webhookCalls = (call: Call) => ({
  /** Send a payload to a URL, with retries, and signed when there is a secret. */
  send: (fields: SendOptions, options?: CallOptions) => call("webhook.send", fields, options),
  /** Get a delivery with its attempts. */
  get: (id: string, options?: CallOptions) => call("webhook.get", { id }, options),
  /** List deliveries, newest first. */
  list: (query: DeliveriesQuery = {}, options?: CallOptions) => call("webhook.list", query, options),
  /** List the attempts of a delivery, in order. */
  attempts: (id: string, options?: CallOptions) => call("webhook.attempts", { id }, options),
  /** Send a delivery that is over once more. */
  replay: (id: string, fields: ReplayFields = {}, options?: CallOptions) =>
    call("webhook.replay", { ...fields, id }, options),
  /** Send the deliveries that ended in a way and a time once more, or count them. */
  replayMany: (fields: ReplayManyFields, options?: CallOptions) => call("webhook.replay_many", fields, options),
  /** Cancel a delivery that is not over yet. */
  cancel: (id: string, fields: Once = {}, options?: CallOptions) => call("webhook.cancel", { ...fields, id }, options),
  /** Tell every endpoint whose filters match of an event. */
  emit: (fields: EmitOptions, options?: CallOptions) => call("webhook.emit", fields, options),
});
