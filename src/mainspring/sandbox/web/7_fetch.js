// Headers, Request, Response and fetch (https://fetch.spec.whatwg.org/), bodies being whole.
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const NULL_BODY = [101, 204, 205, 304];
const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

class Headers {
  #values = new Map();
  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init !== "object") throw new TypeError("expected headers");
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }
  static #name(name) {
    const text = `${name}`;
    if (!TOKEN.test(text)) throw new TypeError("that is no name of a header");
    return text.toLowerCase();
  }
  static #value(value) {
    const text = `${value}`.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
    if (/[\0\r\n]|[^\0-\xff]/.test(text)) throw new TypeError("that is no value of a header");
    return text;
  }
  append(name, value) {
    const key = Headers.#name(name);
    const text = Headers.#value(value);
    const before = this.#values.get(key);
    if (before === undefined) this.#values.set(key, [text]);
    else before.push(text);
  }
  set(name, value) {
    this.#values.set(Headers.#name(name), [Headers.#value(value)]);
  }
  get(name) {
    return this.#values.get(Headers.#name(name))?.join(", ") ?? null;
  }
  has(name) {
    return this.#values.has(Headers.#name(name));
  }
  delete(name) {
    this.#values.delete(Headers.#name(name));
  }
  getSetCookie() {
    return [...(this.#values.get("set-cookie") ?? [])];
  }
  forEach(callback, self) {
    for (const [name, value] of this) apply(callback, self, [value, name, this]);
  }
  *entries() {
    for (const name of [...this.#values.keys()].sort()) {
      const values = this.#values.get(name) ?? [];
      if (name === "set-cookie") for (const value of values) yield [name, value];
      else yield [name, values.join(", ")];
    }
  }
  *keys() {
    for (const [name] of this.entries()) yield name;
  }
  *values() {
    for (const [, value] of this.entries()) yield value;
  }
  [Symbol.iterator]() {
    return this.entries();
  }
}

// The bytes of a body and the content type that goes with it.
function bodyOf(body) {
  if (body === undefined || body === null) return [null, null];
  if (body instanceof URLSearchParams) {
    return [bytesOf(body.toString()), "application/x-www-form-urlencoded;charset=UTF-8"];
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return [viewOf(body).slice(), null];
  return [bytesOf(`${body}`), "text/plain;charset=UTF-8"];
}

class Body {
  #bytes = null;
  #used = false;
  #headers;
  constructor(body, headers) {
    this.#headers = new Headers(headers);
    const [bytes, type] = bodyOf(body);
    this.#bytes = bytes;
    if (type !== null && !this.#headers.has("content-type")) this.#headers.set("content-type", type);
  }
  get headers() {
    return this.#headers;
  }
  get bodyUsed() {
    return this.#used;
  }
  #taken() {
    if (this.#used) throw new TypeError("the body has been read already");
    this.#used = this.#bytes !== null;
    return this.#bytes ?? new Uint8Array(0);
  }
  static copied(of) {
    if (of.#used) throw new TypeError("the body has been read already");
    return of.#bytes === null ? null : of.#bytes.slice();
  }
  static taken(of) {
    return of.#taken();
  }
  async bytes() {
    return this.#taken();
  }
  async arrayBuffer() {
    const bytes = this.#taken();
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }
  async text() {
    return textOf(this.#taken()).replace(/^\ufeff/, "");
  }
  async json() {
    return parse(await this.text());
  }
}

class Request extends Body {
  #method;
  #url;
  #redirect;
  constructor(input, init = {}) {
    const from = input instanceof Request ? input : null;
    const given = `${init.method ?? from?.method ?? "GET"}`;
    const method = METHODS.includes(given.toUpperCase()) ? given.toUpperCase() : given;
    if (!TOKEN.test(method) || ["CONNECT", "TRACE", "TRACK"].includes(method.toUpperCase())) {
      throw new TypeError("that method cannot be used");
    }
    const body = init.body ?? (from === null ? null : Body.copied(from));
    if (body !== null && (method === "GET" || method === "HEAD")) throw new TypeError(`a ${method} has no body`);
    const url = new URL(from === null ? input : from.url);
    if (url.username !== "" || url.password !== "") throw new TypeError("the URL carries a password");
    super(body, init.headers ?? from?.headers);
    this.#method = method;
    this.#url = url.href;
    this.#redirect = init.redirect ?? from?.redirect ?? "follow";
    if (!["follow", "error", "manual"].includes(this.#redirect)) throw new TypeError("redirect is follow, error or manual");
  }
  get method() {
    return this.#method;
  }
  get url() {
    return this.#url;
  }
  get redirect() {
    return this.#redirect;
  }
  clone() {
    return new Request(this);
  }
}

class Response extends Body {
  #status;
  #statusText;
  #url = "";
  #redirected = false;
  #type = "default";
  constructor(body = null, init = {}) {
    const status = init.status === undefined ? 200 : Number(init.status);
    if (!(Number.isInteger(status) && status >= 200 && status <= 599)) throw new RangeError("status is 200 to 599");
    if (body !== null && body !== undefined && NULL_BODY.includes(status)) throw new TypeError(`a ${status} has no body`);
    super(body, init.headers);
    this.#status = status;
    this.#statusText = `${init.statusText ?? ""}`;
  }
  static received(answer) {
    const response = new Response(null, { headers: answer.headers });
    const bytes = bytesOfBase64(answer.body);
    const whole = new Response(NULL_BODY.includes(answer.status) ? null : bytes, { headers: response.headers });
    whole.#status = answer.status;
    whole.#url = answer.url;
    whole.#redirected = answer.redirected;
    whole.#type = "basic";
    return whole;
  }
  static json(value, init = {}) {
    const text = stringify(value);
    if (text === undefined) throw new TypeError("that is not JSON");
    const headers = new Headers(init.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }
  static error() {
    const response = new Response();
    response.#status = 0;
    response.#type = "error";
    return response;
  }
  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError("that is no status of a redirect");
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }
  get status() {
    return this.#status;
  }
  get statusText() {
    return this.#statusText;
  }
  get ok() {
    return this.#status >= 200 && this.#status < 300;
  }
  get url() {
    return this.#url;
  }
  get redirected() {
    return this.#redirected;
  }
  get type() {
    return this.#type;
  }
  clone() {
    const copy = new Response(Body.copied(this), { headers: this.headers, statusText: this.#statusText });
    copy.#status = this.#status;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    copy.#type = this.#type;
    return copy;
  }
}

async function fetch(input, init) {
  const request = new Request(input, init);
  const answer = await ask("fetch", {
    __proto__: null,
    method: request.method,
    url: request.url.replace(/#.*$/s, ""),
    headers: [...request.headers],
    body: base64Of(Body.taken(request)),
    redirect: request.redirect,
  });
  return Response.received(answer);
}

function requestOf(given) {
  const { url = "http://localhost/", method = "GET", headers = {}, body = null } = given ?? {};
  const bodiless = method === "GET" || method === "HEAD";
  return new Request(url, { method, headers, body: bodiless || body === null ? null : bytesOfBase64(body) });
}

function finishRoute(response) {
  if (!(response instanceof Response)) throw new TypeError("onRoute did not return a Response");
  const body = base64Of(Body.taken(response));
  end(stringify({ __proto__: null, status: response.status, headers: [...response.headers], body }), null);
}
