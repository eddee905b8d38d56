/** What each capability takes and gives; a test compares it with the server's OpenAPI document. */

import type * as account from "./types/account.js";
import type * as cron from "./types/cron.js";
import type * as discovery from "./types/discovery.js";
import type * as queues from "./types/queues.js";
import type * as webhooks from "./types/webhooks.js";
import type { ById, ByQueue, Once, Page, PageQuery, Result } from "./types/wire.js";

interface Row<Input, Output> {
  input: Input;
  output: Output;
}

type Nothing = object;

export interface Capabilities {
  "cron.create": Row<cron.CronOptions, cron.CronRecord>;
  "cron.list": Row<PageQuery, Page<cron.CronRecord>>;
  "cron.get": Row<ById, cron.CronRecord>;
  "cron.update": Row<ById & cron.CronFields, cron.CronRecord>;
  "cron.delete": Row<ById & Once, cron.CronDeleted>;
  "cron.pause": Row<ById & Once, cron.CronRecord>;
  "cron.resume": Row<ById & Once, cron.CronRecord>;
  "cron.trigger": Row<ById & cron.TriggerFields, cron.RunRecord>;
  "cron.runs.get": Row<ById & { run_id: string }, cron.RunWithAttempts>;
  "cron.runs.list": Row<ById & cron.RunsOfCronQuery, Page<cron.RunRecord>>;
  "cron.retention.get": Row<ById, cron.Retention>;
  "cron.retention.set": Row<ById & cron.RetentionFields, cron.Retention>;
  "cron.preview": Row<cron.PreviewQuery, cron.Preview>;
  "cron.occurrences.list": Row<ById & PageQuery, Page<cron.OccurrenceRecord>>;

  "task.schedule": Row<cron.TaskOptions, cron.TaskRecord>;
  "task.get": Row<ById, cron.TaskWithRun>;
  "task.list": Row<PageQuery, Page<cron.TaskRecord>>;
  "task.cancel": Row<ById & Once, cron.TaskRecord>;
  "run.list": Row<cron.RunsQuery, Page<cron.RunRecord>>;
  "run.get": Row<ById, cron.RunWithAttempts>;
  "run.replay": Row<ById & Once, cron.RunRecord>;

  "queue.create": Row<queues.QueueOptions, queues.QueueRecord>;
  "queue.list": Row<PageQuery, Page<queues.QueueRecord>>;
  "queue.get": Row<ByQueue, queues.QueueRecord>;
  "queue.update": Row<ByQueue & queues.QueueUpdateFields, queues.QueueRecord>;
  "queue.delete": Row<ByQueue & Once, queues.QueueDeleted>;
  "queue.purge": Row<ByQueue & Once, queues.QueuePurged>;
  "queue.pause": Row<ByQueue & Once, queues.QueueRecord>;
  "queue.resume": Row<ByQueue & Once, queues.QueueRecord>;
  "queue.stats": Row<ByQueue, queues.QueueCounts>;
  "queue.publish": Row<queues.PublishOptions, queues.Published>;
  "queue.publish_batch": Row<queues.PublishBatchOptions, queues.PublishedBatch>;
  "queue.consume": Row<queues.ConsumeOptions, queues.Messages>;
  "queue.peek": Row<ByQueue & queues.PeekQuery, queues.Messages>;
  "queue.ack": Row<queues.LeaseOptions, queues.Acked>;
  "queue.ack_batch": Row<queues.AckBatchOptions, queues.AckedBatch>;
  "queue.nack": Row<queues.NackOptions, queues.Nacked>;
  "queue.release": Row<queues.ReleaseOptions, queues.Released>;
  "queue.extend": Row<queues.ExtendOptions, queues.Extended>;
  "queue.dlq.list": Row<ByQueue & PageQuery, Page<queues.DeadLetter>>;
  "queue.dlq.redrive": Row<ByQueue & queues.RedriveFields, queues.Redriven>;
  "queue.push_subscribe": Row<ByQueue & queues.PushOptions, queues.PushSubscription>;
  "queue.push_list": Row<ByQueue & PageQuery, Page<queues.PushSubscription>>;
  "queue.push_unsubscribe": Row<ByQueue & { subscription_id: string } & Once, queues.PushUnsubscribed>;
  "queue.push_deliveries": Row<ByQueue & queues.PushesQuery, Page<queues.PushRecord>>;

  "account.keys.list": Row<account.KeysQuery, Page<account.KeyRecord>>;
  "account.keys.create": Row<account.KeyOptions, account.KeyCreated>;
  "account.keys.rotate": Row<ById & account.RotateFields, account.KeyCreated>;
  "account.keys.revoke": Row<ById & account.RevokeFields, account.KeyRevoked>;
  "account.balance": Row<Nothing, account.Balance>;
  "account.topup": Row<account.TopupFields, account.Topup>;
  "account.audit.list": Row<account.AuditQuery, Page<account.AuditRecord>>;
  activate: Row<account.ActivateFields, account.Activation>;

  "webhook.send": Row<webhooks.SendOptions, webhooks.DeliveryAccepted>;
  "webhook.get": Row<ById, webhooks.DeliveryWithAttempts>;
  "webhook.list": Row<webhooks.DeliveriesQuery, Page<webhooks.DeliveryRecord>>;
  "webhook.attempts": Row<ById, webhooks.DeliveryAttempts>;
  "webhook.replay": Row<ById & webhooks.ReplayFields, webhooks.DeliveryAccepted>;
  "webhook.replay_many": Row<webhooks.ReplayManyFields, webhooks.Replays>;
  "webhook.cancel": Row<ById & Once, webhooks.DeliveryAccepted>;
  "webhook.emit": Row<webhooks.EmitOptions, webhooks.EventEmitted>;
  "account.webhooks.register": Row<webhooks.EndpointOptions, webhooks.EndpointWithSecret>;
  "account.webhooks.list": Row<PageQuery, Page<webhooks.EndpointRecord>>;
  "account.webhooks.get": Row<ById, webhooks.EndpointRecord>;
  "account.webhooks.update": Row<ById & webhooks.EndpointFields, webhooks.EndpointRecord>;
  "account.webhooks.delete": Row<ById & Once, webhooks.EndpointDeleted>;
  "account.webhooks.test": Row<ById & Once, webhooks.EventEmitted>;
  "account.webhooks.rotate": Row<ById & webhooks.RotateSecretFields, webhooks.EndpointWithSecret>;
  "account.webhooks.recover": Row<ById & webhooks.RecoverOptions, webhooks.Replays>;
  "account.webhooks.deliveries": Row<ById & webhooks.DeliveriesOfQuery, webhooks.EndpointDeliveries>;

  "discovery.list": Row<Nothing, discovery.Discovered>;
  "discovery.get": Row<{ capability: string }, discovery.CapabilityDescription>;
}

/** The id of a capability, like `cron.create`. */
export type Capability = keyof Capabilities;
/** What a capability takes: its path's parameters, and its fields or its query. */
export type Input<C extends Capability> = Capabilities[C]["input"];
/** What a capability gives. */
export type Output<C extends Capability> = Result<Capabilities[C]["output"]>;
