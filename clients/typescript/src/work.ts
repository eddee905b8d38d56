/** The consumer loop: consume, handle, acknowledge; keep what takes longer, count what failed, stop in good order. */

import { MainspringError } from "./errors.js";
import { linked, pause, randomId } from "./timing.js";
import type { Call } from "./transport.js";
import type { Message } from "./types/queues.js";

/** What a handler gets besides the message. */
export interface Context {
  /** Aborted when the message is no longer this worker's, or when it stops and the handler took too long to end. */
  readonly signal: AbortSignal;
}

/** Does the work of one message; what it throws makes the message fail. */
export type Handler<P = unknown> = (message: Message<P>, context: Context) => unknown;

/** What becomes of a message that failed. */
export interface Verdict {
  /** False: a dead letter at once. */
  requeue?: boolean | undefined;
  /** Seconds until it may be consumed again. */
  delay_seconds?: number | undefined;
}

export interface WorkOptions<P = unknown> {
  /** Handlers at a time; 10 unless given. Only as many messages are leased. */
  concurrency?: number | undefined;
  /** Seconds of a lease, renewed every third of it; 30 unless given. A crash delays its messages by as much. */
  visibilitySeconds?: number | undefined;
  /** Seconds that one request waits for messages, at most 20; 20 unless given. */
  waitSeconds?: number | undefined;
  /** Abort it to stop: nothing new is taken, what is in hand is finished. */
  signal?: AbortSignal | undefined;
  /** Seconds that handlers have to finish after that; then their messages are given back. 30 unless given. */
  drainSeconds?: number | undefined;
  /** Decides what becomes of a message whose handler threw; it comes back at once unless this says otherwise. */
  onFailure?: ((error: unknown, message: Message<P>) => Verdict | void) | undefined;
  /** Told of everything that goes wrong, with the message if there is one; `console.error` unless given. */
  onError?: ((error: unknown, message?: Message<P>) => void) | undefined;
}

/** How many messages ended how. `lost`: their lease ended under the handler; they come back. */
export interface WorkDone {
  acked: number;
  failed: number;
  released: number;
  lost: number;
}

const REST_MS_MAX = 30_000;

/** See `MainspringClient.work`. */
export async function work<P>(
  call: Call,
  queue: string,
  handle: Handler<P>,
  options: WorkOptions<P>,
): Promise<WorkDone> {
  return new Worker(call, queue, handle, options).run();
}

/** A message in hand. `settling`: its handler has ended; `gone`: nothing more is to be said about it. */
interface Job<P> {
  readonly message: Message<P>;
  readonly ending: AbortController;
  state: "working" | "settling" | "gone";
  heart?: ReturnType<typeof setInterval>;
}

class Worker<P> {
  readonly #call: Call;
  readonly #queue: string;
  readonly #handle: Handler<P>;
  readonly #options: WorkOptions<P>;
  readonly #seats: number;
  readonly #lease: number;
  readonly #stop: AbortSignal;
  readonly #jobs = new Map<Job<P>, Promise<void>>();
  readonly #done: WorkDone = { acked: 0, failed: 0, released: 0, lost: 0 };
  /** Ends the wait for a free seat. */
  #wake: () => void = () => undefined;

  constructor(call: Call, queue: string, handle: Handler<P>, options: WorkOptions<P>) {
    this.#call = call;
    this.#queue = queue;
    this.#handle = handle;
    this.#options = options;
    this.#seats = Math.max(1, Math.min(1000, Math.floor(options.concurrency ?? 10)));
    this.#lease = options.visibilitySeconds ?? 30;
    this.#stop = options.signal ?? new AbortController().signal;
  }

  async run(): Promise<WorkDone> {
    const stopping = () => this.#wake();
    this.#stop.addEventListener("abort", stopping);
    try {
      while (!this.#stop.aborted) await this.#step();
    } finally {
      this.#stop.removeEventListener("abort", stopping);
      await this.#drain();
    }
    return this.#done;
  }

  /** Fill the free seats; without one, wait for one. */
  async #step(): Promise<void> {
    const free = this.#seats - this.#jobs.size;
    if (free === 0) return new Promise((resolve) => (this.#wake = resolve));
    const { messages, late } = await this.#receive(free);
    for (const message of messages) {
      const job: Job<P> = { message: message as Message<P>, ending: new AbortController(), state: "working" };
      this.#jobs.set(job, this.#work(job, late).finally(() => this.#leave(job)));
    }
  }

  /** Messages, if need be after several requests: one id for all of them, so that no answer is lost for good. */
  async #receive(max: number): Promise<{ messages: readonly Message[]; late: boolean }> {
    const wish = {
      queue: this.#queue,
      max_messages: max,
      visibility_timeout: this.#lease,
      receive_attempt_id: randomId(),
    };
    for (let failures = 0; !this.#stop.aborted; failures++) {
      try {
        const options = { signal: this.#stop, retries: 0 };
        const asked = { ...wish, wait_seconds: this.#options.waitSeconds ?? 20 };
        const { messages } = await this.#call("queue.consume", asked, options);
        return { messages, late: failures > 0 };
      } catch (error) {
        if (this.#stop.aborted) break;
        if (isFinal(error)) throw error;
        this.#tell(error);
        await pause(restMs(error, failures), this.#stop).catch(() => undefined);
      }
    }
    await this.#giveBack(wish);
    return { messages: [], late: false };
  }

  /** The request that was cut off may have leased messages; the same id tells which. */
  async #giveBack(wish: { queue: string; receive_attempt_id: string }): Promise<void> {
    const options = { deadlineMs: 5000 };
    try {
      const again = { ...wish, max_messages: 1, wait_seconds: 0 };
      const { messages } = await this.#call("queue.consume", again, options);
      await Promise.all(messages.map((message) => this.#call("queue.release", leaseOf(message), options)));
    } catch (error) {
      this.#tell(error);
    }
  }

  #leave(job: Job<P>): void {
    this.#jobs.delete(job);
    this.#wake();
  }

  /** From a leased message to what is said about it in the end. Never rejects. */
  async #work(job: Job<P>, late: boolean): Promise<void> {
    this.#keep(job, late);
    let failure: { error: unknown } | undefined;
    try {
      await this.#handle(job.message, { signal: job.ending.signal });
    } catch (error) {
      failure = { error };
    } finally {
      clearInterval(job.heart);
    }
    if (job.state === "gone") return;
    job.state = "settling";
    if (failure) this.#tell(failure.error, job.message);
    try {
      if (failure) await this.#fail(job.message, failure.error);
      else await this.#call("queue.ack", leaseOf(job.message), { deadlineMs: this.#lease * 1000 });
      this.#done[failure ? "failed" : "acked"]++;
    } catch (error) {
      this.#done.lost++;
      this.#tell(error, job.message);
    }
  }

  async #fail(message: Message<P>, error: unknown): Promise<void> {
    let verdict: Verdict = {};
    try {
      verdict = this.#options.onFailure?.(error, message) ?? {};
    } catch (thrown) {
      this.#tell(thrown, message);
    }
    await this.#call("queue.nack", { ...leaseOf(message), ...verdict }, { deadlineMs: this.#lease * 1000 });
  }

  /** Renew the lease again and again; when it is lost, the handler hears of it. */
  #keep(job: Job<P>, now: boolean): void {
    const every = (this.#lease * 1000) / 3;
    const renew = async () => {
      if (job.state !== "working") return;
      try {
        const wish = { ...leaseOf(job.message), visibility_timeout: this.#lease };
        await this.#call("queue.extend", wish, { deadlineMs: every, signal: job.ending.signal });
      } catch (error) {
        if (job.state !== "working") return;
        if (isFinal(error)) this.#lose(job, error);
        else this.#tell(error, job.message);
      }
    };
    if (now) void renew();
    job.heart = setInterval(() => void renew(), every);
  }

  #lose(job: Job<P>, error: unknown): void {
    this.#end(job, error);
    this.#done.lost++;
    this.#tell(error, job.message);
  }

  /** Nothing more is done for the message; its handler hears why. */
  #end(job: Job<P>, reason: unknown): void {
    job.state = "gone";
    clearInterval(job.heart);
    job.ending.abort(reason);
  }

  /** Let handlers finish; give back what is not finished in time. What is being settled ends with its lease. */
  async #drain(): Promise<void> {
    if (this.#jobs.size === 0) return;
    const limit = linked(undefined, (this.#options.drainSeconds ?? 30) * 1000);
    const late = new Promise<void>((resolve) => limit.signal.addEventListener("abort", () => resolve()));
    await Promise.race([Promise.all(this.#jobs.values()), late]);
    limit.clear();
    await Promise.all(
      [...this.#jobs].map(([job, ended]) => {
        if (job.state === "working") return this.#release(job);
        return job.state === "settling" ? ended : undefined;
      }),
    );
  }

  async #release(job: Job<P>): Promise<void> {
    this.#end(job, new Error("the worker stops"));
    try {
      await this.#call("queue.release", leaseOf(job.message), { deadlineMs: 5000 });
      this.#done.released++;
    } catch (error) {
      this.#done.lost++;
      this.#tell(error, job.message);
    }
  }

  #tell(error: unknown, message?: Message<P>): void {
    const { onError } = this.#options;
    if (!onError) return console.error(`mainspring: queue ${this.#queue}`, message?.message_id ?? "", error);
    try {
      onError(error, message);
    } catch (thrown) {
      console.error("mainspring: onError threw", thrown);
    }
  }
}

function leaseOf(message: Message): { queue: string; message_id: string; receipt: string | null } {
  return { queue: message.queue, message_id: message.message_id, receipt: message.receipt };
}

/** Whether asking again would get the same refusal. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof MainspringError)) return true;
  return !error.retryable && error.status < 500;
}

function restMs(error: unknown, failures: number): number {
  const asked = error instanceof MainspringError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
  return asked + Math.random() * Math.min(REST_MS_MAX, 500 * 2 ** failures);
}
