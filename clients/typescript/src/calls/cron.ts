/** `client.job.cron`, `client.job.task` and `client.job.run`. */

import type { Call, CallOptions } from "../transport.js";
import type {
  CronFields,
  CronOptions,
  PreviewQuery,
  RetentionFields,
  RunsOfCronQuery,
  RunsQuery,
  TaskOptions,
  TriggerFields,
} from "../types/cron.js";
import type { Once, PageQuery } from "../types/wire.js";

/** Cron jobs. */
export const cronCalls = (call: Call) => ({
  /** Create a cron job: recurring by `cron_expr`, or once by `run_at`. */
  create: (fields: CronOptions, options?: CallOptions) => call("cron.create", fields, options),
  /** List cron jobs, newest first. */
  list: (query: PageQuery = {}, options?: CallOptions) => call("cron.list", query, options),
  /** Get a cron job with its next run. */
  get: (id: string, options?: CallOptions) => call("cron.get", { id }, options),
  /** Change a cron job; what the fields do not name stays. */
  update: (id: string, fields: CronFields, options?: CallOptions) => call("cron.update", { ...fields, id }, options),
  /** Delete a cron job and stop its future runs. */
  delete: (id: string, fields: Once = {}, options?: CallOptions) => call("cron.delete", { ...fields, id }, options),
  /** Pause a cron job; what is waiting is cancelled. */
  pause: (id: string, fields: Once = {}, options?: CallOptions) => call("cron.pause", { ...fields, id }, options),
  /** Resume a paused cron job; what passed meanwhile is not caught up. */
  resume: (id: string, fields: Once = {}, options?: CallOptions) => call("cron.resume", { ...fields, id }, options),
  /** Run a cron job now, also while it is paused. */
  trigger: (id: string, fields: TriggerFields = {}, options?: CallOptions) =>
    call("cron.trigger", { ...fields, id }, options),
  /** Show what an expression means and when it fires next. */
  preview: (query: PreviewQuery, options?: CallOptions) => call("cron.preview", query, options),
  runs: {
    /** Get a run of a cron job with its attempts. */
    get: (id: string, runId: string, options?: CallOptions) => call("cron.runs.get", { id, run_id: runId }, options),
    /** List the runs of a cron job, newest first. */
    list: (id: string, query: RunsOfCronQuery = {}, options?: CallOptions) =>
      call("cron.runs.list", { ...query, id }, options),
  },
  retention: {
    /** Get how long the runs of a cron job are kept. */
    get: (id: string, options?: CallOptions) => call("cron.retention.get", { id }, options),
    /** Set how long the runs of a cron job are kept. */
    set: (id: string, fields: RetentionFields, options?: CallOptions) =>
      call("cron.retention.set", { ...fields, id }, options),
  },
  occurrences: {
    /** List what became of every instant at which a cron job was due, newest first. */
    list: (id: string, query: PageQuery = {}, options?: CallOptions) =>
      call("cron.occurrences.list", { ...query, id }, options),
  },
});

/** One-shot tasks. */
export const taskCalls = (call: Call) => ({
  /** Schedule one call at one instant. */
  schedule: (fields: TaskOptions, options?: CallOptions) => call("task.schedule", fields, options),
  /** Get a task with its newest run. */
  get: (id: string, options?: CallOptions) => call("task.get", { id }, options),
  /** List tasks, newest first. */
  list: (query: PageQuery = {}, options?: CallOptions) => call("task.list", query, options),
  /** Cancel a task that has not succeeded or failed yet. */
  cancel: (id: string, fields: Once = {}, options?: CallOptions) => call("task.cancel", { ...fields, id }, options),
});

/** The runs of all cron jobs and tasks. */
export const runCalls = (call: Call) => ({
  /** List runs, newest first. */
  list: (query: RunsQuery = {}, options?: CallOptions) => call("run.list", query, options),
  /** Get a run of any cron job or task with its attempts. */
  get: (id: string, options?: CallOptions) => call("run.get", { id }, options),
  /** Run a run that is over once more, with the target and the payload that it had. */
  replay: (id: string, fields: Once = {}, options?: CallOptions) => call("run.replay", { ...fields, id }, options),
});

