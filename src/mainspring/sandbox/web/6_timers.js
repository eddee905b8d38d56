// Timers, the console, and random numbers.
const clock = performance.now.bind(performance);
const timers = new Map();
let timerCount = 0;
const TIMER_MAX = 2147483647;

function addTimer(callback, delay, again, given) {
  if (typeof callback !== "function") throw new TypeError("a timer needs a function");
  const every = Math.min(Math.max(Math.trunc(Number(delay)) || 0, again ? 1 : 0), TIMER_MAX);
  timers.set(++timerCount, { callback, given, at: clock() + every, every: again ? every : null });
  return timerCount;
}

// Calls the timer that is due, the earliest first; how long until the next one (ms), -1 when there is none.
function fire() {
  let next = null;
  for (const [id, timer] of timers) if (next === null || timer.at < next.timer.at) next = { id, timer };
  if (next === null) return -1;
  const { id, timer } = next;
  const wait = timer.at - clock();
  if (wait > 0) return Math.max(Math.ceil(wait), 1);
  if (timer.every === null) timers.delete(id);
  else timer.at = clock() + timer.every;
  try {
    apply(timer.callback, globalThis, timer.given);
  } catch (error) {
    end(null, described(error));
  }
  return 0;
}

const setTimeout = (callback, delay, ...given) => addTimer(callback, delay, false, given);
const setInterval = (callback, delay, ...given) => addTimer(callback, delay, true, given);
const setImmediate = (callback, ...given) => addTimer(callback, 0, false, given);
const clearTimeout = (id) => void timers.delete(Number(id));

function shownInConsole(value) {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return described(value);
  try {
    return stringify(value) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

function log(level, ...values) {
  if (logged >= LOG_CHARS_MAX) return;
  let text = "";
  for (const value of values) text += `${text === "" ? "" : " "}${shownInConsole(value)}`;
  text = text.slice(0, LOG_CHARS_MAX - logged);
  logged += text.length + 1;
  say({ __proto__: null, kind: "log", level, text });
}

const console = {
  debug: (...values) => log("debug", ...values),
  log: (...values) => log("info", ...values),
  info: (...values) => log("info", ...values),
  warn: (...values) => log("warning", ...values),
  error: (...values) => log("error", ...values),
  trace: (...values) => log("debug", ...values),
};

// ChaCha20 (RFC 8439) over a key that this run alone has.
const chacha = { key: new Uint32Array(8), counter: 0, left: new Uint8Array(0) };

function quarter(x, a, b, c, d) {
  const turn = (value, by) => (value << by) | (value >>> (32 - by));
  x[a] += x[b]; x[d] = turn(x[d] ^ x[a], 16);
  x[c] += x[d]; x[b] = turn(x[b] ^ x[c], 12);
  x[a] += x[b]; x[d] = turn(x[d] ^ x[a], 8);
  x[c] += x[d]; x[b] = turn(x[b] ^ x[c], 7);
}

function randomBlock() {
  const state = new Uint32Array(16);
  state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  state.set(chacha.key, 4);
  state[12] = chacha.counter++;
  const x = state.slice();
  for (let round = 0; round < 10; round++) {
    for (let at = 0; at < 4; at++) quarter(x, at, at + 4, at + 8, at + 12);
    for (let at = 0; at < 4; at++) quarter(x, at, ((at + 1) & 3) + 4, ((at + 2) & 3) + 8, ((at + 3) & 3) + 12);
  }
  for (let at = 0; at < 16; at++) x[at] += state[at];
  return new Uint8Array(x.buffer);
}

function getRandomValues(view) {
  const bytes = viewOf(view);
  if (bytes.length > 65536) throw new DOMException("at most 65536 bytes at a time", "QuotaExceededError");
  for (let at = 0; at < bytes.length; at++) {
    if (chacha.left.length === 0) chacha.left = randomBlock();
    bytes[at] = chacha.left[0];
    chacha.left = chacha.left.subarray(1);
  }
  return view;
}

// Version 4 (RFC 9562 section 5.4).
function randomUUID() {
  const bytes = getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
