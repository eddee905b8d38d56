/** Cron jobs, one-shot tasks and their runs. */

import type {
  AnyOf,
  Expect,
  ExpectRecord,
  Given,
  Instant,
  Once,
  PageQuery,
  SignatureStyle,
} from "./wire.js";

export type Dialect = "standard" | "nodeget" | "go-crontab" | "quartz";
export type Method = "POST" | "GET" | "PUT" | "PATCH" | "DELETE";
export type TaskType = "http_url" | "http" | "queue";
export type OverlapPolicy = "allow" | "skip" | "queue";
export type Catchup = "latest" | "skip" | "all";
export type RunState = "queued" | "running" | "retrying" | "succeeded" | "failed" | "cancelled";
export type TaskState = "scheduled" | "running" | "succeeded" | "failed" | "cancelled";
export type Trigger = "schedule" | "manual" | "catchup" | "replay";
export type Outcome = "ran" | "caught_up" | "skipped" | "missed";

/** Where a request goes, and how. */
type TargetFields = Given<{
  /** The http(s) URL to call; or, with the task type `queue`, the name of a queue to publish to. */
  task: string;
  /** Another name of `task`. */
  url: string;
  /** Another name of `task`. */
  task_url: string;
  /** Another name of `task`. */
  http_url: string;
  task_type: TaskType;
  /** `POST` unless given. */
  method: Method;
  /** For people; the target's host and path unless given. Not unique. */
  name: string;
  /** Any JSON up to 256 KiB; `{}` unless given. */
  payload: unknown;
  /** Custom headers; shown as `***`, which keeps the stored value when sent back. */
  headers: Record<string, string>;
  /** Retries after the first attempt, 0 to 10; 3 unless given. */
  retry: number;
  /** Another name of `retry`. */
  retries: number;
  /** Seconds before each retry, at most 50 of them, without jitter. */
  retry_delays: number[];
  /** Seconds for one whole attempt, 1 to 900; 300 unless given. */
  timeout_seconds: number;
  /** Signs every request. */
  secret: string;
  signature_style: SignatureStyle;
  /** A URL that is called once when a run has finally failed. */
  on_failure_webhook: string;
  expect: Expect;
  /** Days that finished runs are kept, 0 to 3,650; 30 unless given. */
  retention_days: number;
}>;

/** What can be said of a cron job; when updating, what is left out stays. */
export type CronFields = TargetFields &
  Once &
  Given<{
    /** When to fire, like `0 9 * * 1`. Exactly one of this and `run_at`. */
    cron_expr: string;
    /** Another name of `cron_expr`. */
    schedule: string;
    /** The instant to fire at, once. */
    run_at: Instant;
    /** Another name of `run_at`. */
    at: Instant;
    /** An IANA time zone; `UTC` unless given. */
    timezone: string;
    dialect: Dialect;
    /** When a run is due while another is unfinished; `skip` unless given. */
    overlap_policy: OverlapPolicy;
    /** What becomes of instants that passed while nothing ran; `latest` unless given. */
    catchup: Catchup;
    catchup_window_seconds: number;
    /** Scheduled runs after which the job completes. */
    max_runs: number;
    /** Finished runs that are kept; 10,000 unless given. */
    retention_runs: number;
  }>;

/** A cron job to be made: when, and where. */
export type CronOptions = CronFields &
  AnyOf<CronFields, "cron_expr" | "schedule" | "run_at" | "at"> &
  AnyOf<CronFields, "task" | "url" | "task_url" | "http_url">;

/** What can be said of a one-shot task. */
export type TaskFields = TargetFields & Once & Given<{ run_at: Instant; /** Another name of `run_at`. */ at: Instant }>;

/** A one-shot task to be scheduled: when, and where. */
export type TaskOptions = TaskFields &
  AnyOf<TaskFields, "run_at" | "at"> &
  AnyOf<TaskFields, "task" | "url" | "task_url" | "http_url">;

/** A run by hand; `payload` is sent by this run instead of the job's own. */
export type TriggerFields = Once & Given<{ payload: unknown }>;

/** How long finished runs are kept. */
export type RetentionFields = Once & Given<{ retention_days: number; retention_runs: number }>;

/** Which runs of a cron job. */
export interface RunsOfCronQuery extends PageQuery {
  state?: RunState | undefined;
  since?: Instant | undefined;
}

/** Which runs. */
export interface RunsQuery extends RunsOfCronQuery {
  /** Only those of this cron job or task. */
  cron_id?: string | undefined;
  /** Another name of `cron_id`. */
  job_id?: string | undefined;
  /** Another name of `cron_id`. */
  task_id?: string | undefined;
  until?: Instant | undefined;
}

/** What may be said of a preview. */
interface PreviewFields {
  cron_expr?: string | undefined;
  /** Another name of `cron_expr`. */
  schedule?: string | undefined;
  timezone?: string | undefined;
  dialect?: Dialect | undefined;
  count?: number | undefined;
  after?: Instant | undefined;
}

/** What to preview: an expression, and how many of its fires. */
export type PreviewQuery = PreviewFields & AnyOf<PreviewFields, "cron_expr" | "schedule">;

/** Where a run goes; `task`, `url` and `task_url` are equal, and so are `retry` and `retries`. */
export interface TargetRecord {
  id: string;
  name: string;
  task: string;
  url: string;
  task_url: string;
  task_type: "http_url" | "form" | "text" | "rpc" | "queue" | (string & {});
  method: string;
  retry: number;
  retries: number;
  retry_delays: number[] | null;
  timeout_seconds: number;
  payload: unknown;
  headers: Record<string, string> | null;
  signature_style: SignatureStyle;
  signed: boolean;
  on_failure_webhook: string | null;
  expect: ExpectRecord | null;
}

/** A cron job; `id`, `cron_id` and `job_id` are equal, and so are `cron_expr` and `schedule`. */
export interface CronRecord extends TargetRecord {
  cron_id: string;
  job_id: string;
  cron_expr: string | null;
  schedule: string | null;
  run_at: Instant | null;
  timezone: string;
  dialect: string;
  overlap_policy: OverlapPolicy;
  catchup: Catchup;
  catchup_window_seconds: number | null;
  max_runs: number | null;
  run_count: number;
  enabled: boolean;
  paused_at: Instant | null;
  completed_at: Instant | null;
  next_run_at: Instant | null;
  last_run_at: Instant | null;
  last_state: RunState | null;
  retention_days: number;
  retention_runs: number;
  created_at: Instant;
  updated_at: Instant;
}

/** The cron job is gone; also when it already was. */
export interface CronDeleted {
  id: string;
  cron_id: string;
  job_id: string;
  deleted: boolean;
}

export interface Retention {
  id: string;
  cron_id: string;
  job_id: string;
  retention_days: number;
  retention_runs: number;
}

/** One ended attempt of a run. */
export interface AttemptRecord {
  attempt: number;
  started_at: Instant;
  sent_at: Instant | null;
  finished_at: Instant;
  response_status: number | null;
  response_body: string | null;
  error: string | null;
}

/** A run of a cron job (`cron_id`, `job_id`) or of a task (`task_id`); `output` is `response_body`. */
export interface RunRecord {
  run_id: string;
  id: string;
  cron_id: string | null;
  job_id: string | null;
  task_id: string | null;
  trigger: Trigger;
  state: RunState;
  scheduled_for: Instant;
  started_at: Instant;
  finished_at: Instant | null;
  attempt: number;
  response_status: number | null;
  response_body: string | null;
  output: string | null;
  error: string | null;
  lateness_ms: number | null;
}

/** A run with its ended attempts, in order. */
export interface RunWithAttempts extends RunRecord {
  attempts: AttemptRecord[];
}

/** One entry of the ledger: an instant that ran, or a stretch (`from`, `to`, `count`) in which nothing did. */
export interface OccurrenceRecord {
  scheduled_for: Instant;
  outcome: Outcome;
  run_id: string | null;
  reason: string | null;
  from: Instant;
  to: Instant;
  count: number;
}

/** A one-shot task. */
export interface TaskRecord extends TargetRecord {
  task_id: string;
  run_at: Instant;
  state: TaskState;
  retention_days: number;
  created_at: Instant;
  updated_at: Instant;
}

/** A one-shot task with its newest run, once there is one. */
export interface TaskWithRun extends TaskRecord {
  run: RunRecord | null;
}

/** What an expression means, and when it fires next; `note` says what a clock change does to a fire. */
export interface Preview {
  cron_expr: string;
  schedule: string;
  dialect: string;
  timezone: string;
  description: { en: string; zh: string };
  next: { utc: Instant; local: Instant; note: string | null; note_zh: string | null }[];
}
