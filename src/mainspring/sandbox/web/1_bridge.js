// What this process says to the server and hears from it. The script shares the engine with this code and may spoil
// whatever it can reach; then it spoils its own run. The server trusts nothing that it is told.
const { stringify, parse } = JSON;
const { apply } = Reflect;
const { toWellFormed } = String.prototype;
const Pledge = Promise;
const { then: plainThen } = Promise.prototype;
const then = (promise, fulfilled, rejected) => apply(plainThen, promise, [fulfilled, rejected]);
const LOG_CHARS_MAX = 65536;
const ERROR_CHARS_MAX = 4096;

let outbox = "";
let over = false;
let calls = 0;
let logged = 0;
const waiting = Object.create(null);
let waitingCount = 0;

// Halves of surrogate pairs mean nothing in UTF-8, so the server would not understand them.
function whole(message) {
  for (const name in message) {
    if (typeof message[name] === "string") message[name] = apply(toWellFormed, message[name], []);
  }
  return message;
}

function say(message) {
  whole(message);
  outbox += stringify(message) + "\n";
}

// Ask the server for something; a promise of its answer.
function ask(kind, content) {
  return new Pledge((resolve, reject) => {
    const id = ++calls;
    waiting[id] = { __proto__: null, resolve, reject };
    waitingCount++;
    say({ __proto__: null, kind, id, content: typeof content === "string" ? content : whole(content) });
  });
}

function settle(answer) {
  const asked = waiting[answer.id];
  if (asked === undefined) return;
  delete waiting[answer.id];
  waitingCount--;
  if (answer.error === null) return asked.resolve(answer.value);
  const error = new (answer.kind === "fetch" ? TypeError : Error)(answer.error);
  error.stack = "";
  asked.reject(error);
}

function described(error) {
  try {
    if (error === null) return "out of memory";
    if (typeof error !== "object" || !("stack" in error)) return `${error}`.slice(0, ERROR_CHARS_MAX);
    // Below the script's own frames are those that called it.
    const stack = `${error.stack}`.split("    at apply (native)")[0];
    return `${error.name}: ${error.message}\n${stack}`.trimEnd().slice(0, ERROR_CHARS_MAX);
  } catch {
    return "an error that cannot be shown";
  }
}

function end(result, error) {
  if (over) return;
  over = true;
  say({ __proto__: null, kind: "end", result, error });
}

function finish(value) {
  const text = value === undefined ? undefined : stringify(value);
  if (text === undefined) throw new TypeError("the script returned nothing that JSON can hold");
  end(text, null);
}

function start(job) {
  chacha.key.set(job.seed);
  const nodegetText = (request) => ask("rpc", typeof request === "string" ? request : stringify(request));
  const context = {
    runType: job.handler,
    workerName: job.worker,
    inlineCaller: job.caller,
    inlineCall,
    nodeget: (...given) =>
      given.length === 1 && typeof given[0] === "string" ? nodegetText(given[0]) : nodeget(...given),
    uuid: randomUUID,
  };
  const ran = then(import("<input>"), (module) => {
    const worker = module.default;
    const handler = worker?.[job.handler];
    if (typeof handler !== "function") throw new TypeError(`the script exports no ${job.handler}`);
    const given = job.handler === "onRoute" ? requestOf(job.params) : job.params;
    return apply(handler, worker, [given, job.env, context]);
  });
  const told = then(ran, job.handler === "onRoute" ? finishRoute : finish);
  then(told, undefined, (error) => end(null, described(error)));
}

// One round: a timer that is due is called. Answers what there is to say, how many ms there is nothing to do (0: go on
// at once, -1: until the server answers, -2: for ever), and whether the script has ended.
function pump() {
  const wait = over ? 0 : fire();
  const said = outbox;
  outbox = "";
  return stringify([said, wait < 0 ? (waitingCount > 0 ? -1 : -2) : wait, over]);
}

function host(what, text) {
  switch (what) {
    case "start":
      return start(parse(text));
    case "settle":
      return settle(parse(text));
    default:
      return pump();
  }
}

function nodeget(method, params, id) {
  let request = method;
  if (arguments.length > 1 || (typeof method === "string" && !/^\s*[[{]/.test(method))) {
    request = { jsonrpc: "2.0", id: id === undefined ? randomUUID() : id, method, params };
  }
  return then(ask("rpc", typeof request === "string" ? request : stringify(request)), (answer) =>
    answer === "" ? null : parse(answer),
  );
}

function inlineCall(name, params, timeout) {
  if (typeof name !== "string") return Pledge.reject(new TypeError("inlineCall needs the name of a script"));
  if (timeout !== undefined && timeout !== null && !(Number.isFinite(timeout) && timeout > 0)) {
    return Pledge.reject(new TypeError("the timeout of inlineCall is a positive number of seconds"));
  }
  const given = params === undefined ? "null" : stringify(params);
  if (given === undefined) return Pledge.reject(new TypeError("the parameters of inlineCall are not JSON"));
  const content = { __proto__: null, name, params: given, seconds: timeout ?? null };
  return then(ask("inline", content), (answer) => parse(answer));
}
