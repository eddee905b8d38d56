/** Queues, messages, dead letters and push subscriptions. */

import type { AnyOf, Given, Instant, Once, PageQuery, SignatureStyle } from "./wire.js";

export type QueueType = "standard" | "fifo";

/** A queue's settings; when updating, what is left out stays. */
export type QueueUpdateFields = Once &
  Given<{
    /** Set once; `fifo` keeps the order. */
    type: QueueType;
    /** Where dead letters go; `<name>.dlq` unless given. */
    dead_letter_queue: string;
    /** Failures after which a message comes back; the next one makes it a dead letter. 5 unless given. */
    max_retries: number;
    /** Days that unconsumed messages are kept, 1 to 30; 14 unless given. */
    message_retention_days: number;
    /** Seconds for which a consumed message stays hidden from others; 30 unless given. */
    visibility_timeout_default: number;
    enable_priority: boolean;
  }>;

/** A queue, by its `name` or, the same, `queue`. */
export type QueueFields = QueueUpdateFields & Given<{ name: string; queue: string }>;
export type QueueOptions = QueueFields & AnyOf<QueueFields, "name" | "queue">;

/** A message to be published. */
export type MessageFields = Given<{
  /** Any JSON up to 256 KiB. */
  payload: unknown;
  /** Another name of `payload`. */
  body: unknown;
  /** Seconds until it may be consumed, 0 to 604,800. */
  delay_seconds: number;
  /** 0 to 9; the higher comes first. */
  priority: number;
  /** On a FIFO queue: messages of one group come one after the other. */
  message_group_id: string;
  /** Another name of `message_group_id`. */
  group_id: string;
  /** The same id within 5 minutes publishes nothing and answers the first message's id. */
  deduplication_id: string;
  /** Another name of `deduplication_id`. */
  dedup_id: string;
  /** Handed out with the message as they are. */
  headers: Record<string, string>;
}>;

/** The queue; `name` is another name of `queue`. */
type OfQueue = Given<{ queue: string; name: string }>;
type Named = AnyOf<OfQueue, "queue" | "name">;

/** A message with its payload; `null` is one. */
export type MessageOptions = MessageFields & ({ payload: unknown } | { body: unknown });

/** A message, and the queue that it is for. */
export type PublishOptions = MessageOptions & OfQueue & Once & Named;

export type PublishBatchFields = OfQueue & Once & Given<{ messages: MessageOptions[] }>;
/** Up to 1,000 messages for one queue, all or none. */
export type PublishBatchOptions = PublishBatchFields & Named & { messages: MessageOptions[] };

export type ConsumeFields = OfQueue &
  Given<{
    /** 1 to 1,000; 10 unless given. */
    max_messages: number;
    /** Seconds for which the messages are yours; the queue's own unless given. */
    visibility_timeout: number;
    /** Seconds to wait for a first message when there is none, 0 to 20. */
    wait_seconds: number;
    /** The same id within the lease gives the same messages. The client makes one for its own retries. */
    receive_attempt_id: string;
  }>;
/** A wish for messages. */
export type ConsumeOptions = ConsumeFields & Named;

export type LeaseFields = OfQueue &
  Once &
  Given<{
    message_id: string;
    /** Another name of `message_id`. */
    id: string;
    /** As it came with the message; without one, this key must hold the lease. */
    receipt: string;
  }>;
type Leased = AnyOf<LeaseFields, "message_id" | "id">;
/** A message that the caller has leased. */
export type LeaseOptions = LeaseFields & Named & Leased;
/** A leased message that failed; with `requeue: false` it is a dead letter at once. */
export type NackOptions = LeaseOptions & Given<{ requeue: boolean; delay_seconds: number }>;
/** A leased message that is given back. */
export type ReleaseOptions = LeaseOptions & Given<{ delay_seconds: number }>;
/** A leased message that is needed for longer: `visibility_timeout` seconds from now. */
export type ExtendOptions = LeaseOptions & Given<{ visibility_timeout: number }>;

type LeasedFields = Given<{ message_id: string; id: string; receipt: string }>;
/** One of several leased messages; those that `consume` gives are such. */
export type LeasedMessage = LeasedFields & AnyOf<LeasedFields, "message_id" | "id">;
export type AckBatchFields = OfQueue & Once & Given<{ messages: LeasedMessage[]; message_ids: string[] }>;
/** Up to 1,000 messages that are done with. */
export type AckBatchOptions = AckBatchFields & Named & AnyOf<AckBatchFields, "messages" | "message_ids">;

/** Which dead letters go back; all of them when nothing is said. */
export type RedriveFields = Once & Given<{ message_id: string; since: Instant; max_messages: number }>;

/** How many to look at. */
export interface PeekQuery {
  max_messages?: number | undefined;
  /** Another name of `max_messages`. */
  limit?: number | undefined;
}

/** A queue; `queue` and `name` are equal. */
export interface QueueRecord {
  queue: string;
  name: string;
  type: QueueType;
  dead_letter_queue: string | null;
  max_retries: number;
  message_retention_days: number;
  visibility_timeout_default: number;
  enable_priority: boolean;
  paused: boolean;
  created_at: Instant;
  updated_at: Instant;
}

export interface QueueDeleted {
  queue: string;
  name: string;
  deleted: boolean;
}

export interface QueuePurged {
  queue: string;
  name: string;
  purged: number;
}

/** How many messages are where, exactly. */
export interface QueueCounts {
  queue: string;
  name: string;
  available: number;
  delayed: number;
  in_flight: number;
  dlq: number;
  oldest_age_seconds: number | null;
}

export interface Published {
  message_id: string;
  id: string;
  queue: string;
}

export interface PublishedBatch {
  message_ids: string[];
  queue: string;
}

/** A message; `attempt` counts how often it was handed out, `receipt` proves the lease. */
export interface Message<P = unknown> {
  message_id: string;
  id: string;
  queue: string;
  payload: P;
  receipt: string | null;
  attempt: number;
  priority: number;
  group_id: string | null;
  message_group_id: string | null;
  headers: Record<string, string> | null;
  published_at: Instant;
  visible_until: Instant | null;
}

export interface Messages {
  messages: Message[];
  queue: string;
}

export interface Acked {
  message_id: string;
  id: string;
  queue: string;
  acked: boolean;
}

export interface Nacked {
  message_id: string;
  id: string;
  queue: string;
  nacked: boolean;
  /** False when the message is a dead letter now. */
  requeued: boolean;
}

export interface Released {
  message_id: string;
  id: string;
  queue: string;
  released: boolean;
}

export interface Extended {
  message_id: string;
  id: string;
  queue: string;
  extended: boolean;
  visible_until: Instant | null;
}

/** What became of each message, in order; `acked` is true when all of them are done with. */
export interface AckedBatch {
  queue: string;
  acked: boolean;
  results: {
    message_id: string;
    id: string;
    acked: boolean;
    error: { code: string; message: string; hint: string } | null;
  }[];
}

/** A dead letter: the message, where it came from, and why it is one. */
export interface DeadLetter {
  message_id: string;
  id: string;
  queue: string;
  source_queue: string;
  payload: unknown;
  attempt: number;
  failures: number;
  reason: string;
  group_id: string | null;
  message_group_id: string | null;
  headers: Record<string, string> | null;
  published_at: Instant;
  dead_lettered_at: Instant;
}

export interface Redriven {
  queue: string;
  name: string;
  redriven: number;
}

export type PushFields = Once &
  Given<{
    /** Where messages are posted; a 2xx answer acknowledges. */
    url: string;
    /** Another name of `url`. */
    forward_to: string;
    secret: string;
    headers: Record<string, string>;
    signature_style: SignatureStyle;
    /** The body: the message with its id, queue and attempt, or its bare payload. */
    format: "message" | "payload";
    max_retries: number;
    dead_letter_queue: string;
    visibility_timeout: number;
    /** Seconds for one whole push; 30 unless given. */
    timeout_seconds: number;
    /** Messages in flight at a time; 8 unless given. */
    max_concurrency: number;
  }>;
/** A push subscription; the same URL again is the same subscription. */
export type PushOptions = PushFields & AnyOf<PushFields, "url" | "forward_to">;

/** Which pushes. */
export interface PushesQuery extends PageQuery {
  subscription_id?: string | undefined;
}

/** A push subscription; `resting` until `resting_until` after failures or when the target asked for it. */
export interface PushSubscription {
  subscription_id: string;
  id: string;
  queue: string;
  url: string;
  forward_to: string;
  state: string;
  format: "message" | "payload";
  signature_style: SignatureStyle;
  signed: boolean;
  headers: Record<string, string> | null;
  max_retries: number | null;
  dead_letter_queue: string | null;
  visibility_timeout: number | null;
  timeout_seconds: number;
  max_concurrency: number;
  failures_in_a_row: number;
  resting_until: Instant | null;
  created_at: Instant;
  updated_at: Instant;
  ended_at: Instant | null;
  ended_reason: string | null;
}

export interface PushUnsubscribed {
  subscription_id: string;
  id: string;
  queue: string;
  deleted: boolean;
}

/** One push that has ended. */
export interface PushRecord {
  id: string;
  delivery_id: string;
  subscription_id: string;
  message_id: string;
  queue: string;
  attempt: number;
  outcome: string;
  response_status: number | null;
  response_body: string | null;
  error: string | null;
  started_at: Instant;
  sent_at: Instant | null;
  finished_at: Instant;
}
