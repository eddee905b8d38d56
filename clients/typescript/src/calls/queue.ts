/** `client.job.queue`. */

import type { Call, CallOptions } from "../transport.js";
import type {
  AckBatchOptions,
  ConsumeOptions,
  ExtendOptions,
  LeaseOptions,
  NackOptions,
  PeekQuery,
  PublishBatchOptions,
  PublishOptions,
  PushesQuery,
  PushOptions,
  QueueOptions,
  QueueUpdateFields,
  RedriveFields,
  ReleaseOptions,
} from "../types/queues.js";
import type { Once, PageQuery } from "../types/wire.js";

/** Queues, their messages, dead letters and push subscriptions. */
export const queueCalls = (call: Call) => ({
  /** Create a queue; one that is there with equal settings is the answer too. */
  create: (fields: QueueOptions, options?: CallOptions) => call("queue.create", fields, options),
  /** List queues, newest first. */
  list: (query: PageQuery = {}, options?: CallOptions) => call("queue.list", query, options),
  /** Get a queue's settings. */
  get: (queue: string, options?: CallOptions) => call("queue.get", { queue }, options),
  /** Change a queue's settings; what the fields do not name stays. */
  update: (queue: string, fields: QueueUpdateFields, options?: CallOptions) =>
    call("queue.update", { ...fields, queue }, options),
  /** Delete a queue with its messages; also when it already was. */
  delete: (queue: string, fields: Once = {}, options?: CallOptions) =>
    call("queue.delete", { ...fields, queue }, options),
  /** Remove every message of a queue: waiting, delayed and leased. */
  purge: (queue: string, fields: Once = {}, options?: CallOptions) =>
    call("queue.purge", { ...fields, queue }, options),
  /** Hand out no messages until resumed; publishing goes on. */
  pause: (queue: string, fields: Once = {}, options?: CallOptions) =>
    call("queue.pause", { ...fields, queue }, options),
  /** Hand out messages again. */
  resume: (queue: string, fields: Once = {}, options?: CallOptions) =>
    call("queue.resume", { ...fields, queue }, options),
  /** Count the messages of a queue: available, delayed, in flight, dead. */
  stats: (queue: string, options?: CallOptions) => call("queue.stats", { queue }, options),

  /** Publish a message; a queue that nobody has made is made. */
  publish: (fields: PublishOptions, options?: CallOptions) => call("queue.publish", fields, options),
  /** Publish up to 1,000 messages, all of them or none. */
  publishBatch: (fields: PublishBatchOptions, options?: CallOptions) => call("queue.publish_batch", fields, options),
  /** Lease messages, if need be after waiting for the first. */
  consume: (fields: ConsumeOptions, options?: CallOptions) => call("queue.consume", fields, options),
  /** Look at the messages that would be handed out next, without leasing them. */
  peek: (queue: string, query: PeekQuery = {}, options?: CallOptions) =>
    call("queue.peek", { ...query, queue }, options),
  /** Acknowledge a leased message; it is gone. */
  ack: (fields: LeaseOptions, options?: CallOptions) => call("queue.ack", fields, options),
  /** Acknowledge up to 1,000 leased messages; what is refused leaves the others as they are. */
  ackBatch: (fields: AckBatchOptions, options?: CallOptions) => call("queue.ack_batch", fields, options),
  /** Say that a leased message failed: it comes back, or is a dead letter. */
  nack: (fields: NackOptions, options?: CallOptions) => call("queue.nack", fields, options),
  /** Give a leased message back without counting a failure. */
  release: (fields: ReleaseOptions, options?: CallOptions) => call("queue.release", fields, options),
  /** Keep a leased message for longer. */
  extend: (fields: ExtendOptions, options?: CallOptions) => call("queue.extend", fields, options),

  dlq: {
    /** List the dead letters of a queue, or those in a dead-letter queue, newest first. */
    list: (queue: string, query: PageQuery = {}, options?: CallOptions) =>
      call("queue.dlq.list", { ...query, queue }, options),
    /** Send dead letters back to where they came from: one, some or all. */
    redrive: (queue: string, fields: RedriveFields = {}, options?: CallOptions) =>
      call("queue.dlq.redrive", { ...fields, queue }, options),
  },

  /** Post a queue's messages to a URL; the same URL again changes the subscription. */
  pushSubscribe: (queue: string, fields: PushOptions, options?: CallOptions) =>
    call("queue.push_subscribe", { ...fields, queue }, options),
  /** List a queue's push subscriptions, newest first. */
  pushList: (queue: string, query: PageQuery = {}, options?: CallOptions) =>
    call("queue.push_list", { ...query, queue }, options),
  /** End a push subscription; what is being posted ends by itself. */
  pushUnsubscribe: (queue: string, subscriptionId: string, fields: Once = {}, options?: CallOptions) =>
    call("queue.push_unsubscribe", { ...fields, queue, subscription_id: subscriptionId }, options),
  /** List what was posted of a queue's messages, newest first. */
  pushDeliveries: (queue: string, query: PushesQuery = {}, options?: CallOptions) =>
    call("queue.push_deliveries", { ...query, queue }, options),
});
