// URL and URLSearchParams, as scripts know them.
const FORM = /[^*\-.0-9A-Z_a-z]/gu;
const inspectUrl = Symbol("url");

function formEncoded(text) {
  return percentEncoded(`${text}`, FORM).replace(/%20/g, "+");
}

function formPairs(text) {
  return text
    .split("&")
    .filter((part) => part !== "")
    .map((part) => cut(part.replace(/\+/g, " "), "=").map((one) => textOf(percentDecoded(one ?? ""))));
}

class URLSearchParams {
  #pairs = [];
  #owner = null;
  constructor(init = "") {
    if (init !== null && typeof init === "object") {
      if (init[inspectUrl] !== undefined) {
        this.#owner = init;
        this.#pairs = formPairs(init[inspectUrl].query ?? "");
      } else if (typeof init[Symbol.iterator] === "function") {
        for (const pair of init) {
          const [name, value, ...others] = pair;
          if (value === undefined || others.length > 0) throw new TypeError("expected pairs of a name and a value");
          this.#pairs.push([`${name}`, `${value}`]);
        }
      } else {
        for (const name of Object.keys(init)) this.#pairs.push([name, `${init[name]}`]);
      }
    } else {
      this.#pairs = formPairs(`${init}`.replace(/^\?/, ""));
    }
  }
  #changed() {
    if (this.#owner !== null) this.#owner[inspectUrl].query = this.#pairs.length === 0 ? null : this.toString();
  }
  [inspectUrl](query) {
    this.#pairs = formPairs(query);
  }
  get size() {
    return this.#pairs.length;
  }
  append(name, value) {
    this.#pairs.push([`${name}`, `${value}`]);
    this.#changed();
  }
  delete(name, value) {
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== `${name}` || (value !== undefined && pair[1] !== `${value}`));
    this.#changed();
  }
  get(name) {
    return this.#pairs.find((pair) => pair[0] === `${name}`)?.[1] ?? null;
  }
  getAll(name) {
    return this.#pairs.filter((pair) => pair[0] === `${name}`).map((pair) => pair[1]);
  }
  has(name, value) {
    return this.#pairs.some((pair) => pair[0] === `${name}` && (value === undefined || pair[1] === `${value}`));
  }
  set(name, value) {
    const at = this.#pairs.findIndex((pair) => pair[0] === `${name}`);
    if (at < 0) {
      this.#pairs.push([`${name}`, `${value}`]);
    } else {
      this.#pairs[at][1] = `${value}`;
      this.#pairs = this.#pairs.filter((pair, place) => place <= at || pair[0] !== `${name}`);
    }
    this.#changed();
  }
  sort() {
    this.#pairs.sort((one, other) => (one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : 0));
    this.#changed();
  }
  forEach(callback, self) {
    for (const [name, value] of this.#pairs) apply(callback, self, [value, name, this]);
  }
  *entries() {
    for (const [name, value] of this.#pairs) yield [name, value];
  }
  *keys() {
    for (const [name] of this.#pairs) yield name;
  }
  *values() {
    for (const [, value] of this.#pairs) yield value;
  }
  [Symbol.iterator]() {
    return this.entries();
  }
  toString() {
    return this.#pairs.map(([name, value]) => `${formEncoded(name)}=${formEncoded(value)}`).join("&");
  }
}

class URL {
  #url;
  #params = null;
  constructor(input, base) {
    let parent = null;
    if (base !== undefined) {
      parent = readUrl(base, null);
      if (parent === null) throw badUrl(base);
    }
    const found = readUrl(input, parent);
    if (found === null) throw badUrl(input);
    this.#url = found;
  }
  static canParse(input, base) {
    return URL.parse(input, base) !== null;
  }
  static parse(input, base) {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  }
  get [inspectUrl]() {
    return this.#url;
  }
  get href() {
    return urlText(this.#url);
  }
  set href(text) {
    const found = readUrl(text, null);
    if (found === null) throw badUrl(text);
    this.#url = found;
    this.#params?.[inspectUrl](found.query ?? "");
  }
  get origin() {
    const { scheme } = this.#url;
    return isSpecial(scheme) && scheme !== "file:" ? `${scheme}//${placeText(this.#url)}` : "null";
  }
  get protocol() {
    return this.#url.scheme;
  }
  set protocol(text) {
    const scheme = `${`${text}`.split(":")[0].toLowerCase()}:`;
    const url = this.#url;
    if (!/^[a-z][a-z0-9+.-]*:$/.test(scheme) || isSpecial(scheme) !== isSpecial(url.scheme)) return;
    if (scheme === "file:" && (url.username !== "" || url.password !== "" || url.port !== "")) return;
    if (url.scheme === "file:" && url.host === "") return;
    url.scheme = scheme;
    setPort(url, url.port);
  }
  get username() {
    return this.#url.username;
  }
  set username(text) {
    if (this.#url.host && this.#url.scheme !== "file:") this.#url.username = percentEncoded(`${text}`, USERINFO);
  }
  get password() {
    return this.#url.password;
  }
  set password(text) {
    if (this.#url.host && this.#url.scheme !== "file:") this.#url.password = percentEncoded(`${text}`, USERINFO);
  }
  get host() {
    return placeText(this.#url);
  }
  set host(text) {
    this.#place(`${text}`.replace(/[\t\n\r]/g, "").split(/[/?#]/)[0], true);
  }
  get hostname() {
    return this.#url.host ?? "";
  }
  set hostname(text) {
    const host = `${text}`.replace(/[\t\n\r]/g, "").split(/[/?#]/)[0];
    if (!host.startsWith("[") && host.includes(":")) return;
    this.#place(host, false);
  }
  #place(text, withPort) {
    if (this.#url.opaque !== null) return;
    const changed = { ...this.#url };
    const place = isSpecial(changed.scheme) ? text.split("\\")[0] : text;
    if (place === "" && isSpecial(changed.scheme) && changed.scheme !== "file:") return;
    if (!setPlace(changed, place)) return;
    if (!withPort || !/:\d+$/.test(place)) changed.port = this.#url.port;
    this.#url = changed;
  }
  get port() {
    return this.#url.port;
  }
  set port(text) {
    const given = `${text}`.replace(/[\t\n\r]/g, "");
    const digits = /^\d*/.exec(given)[0];
    if (this.#url.host && this.#url.scheme !== "file:" && (digits !== "" || given === "")) setPort(this.#url, digits);
  }
  get pathname() {
    return pathText(this.#url);
  }
  set pathname(text) {
    const url = this.#url;
    if (url.opaque !== null) return;
    const path = `${text}`.replace(/[\t\n\r]/g, "").replace(isSpecial(url.scheme) ? /^[\\/]/ : /^\//, "");
    url.path = pathOf(url, path.replace(/[?#]/g, (mark) => (mark === "?" ? "%3F" : "%23")), []);
  }
  get search() {
    return this.#url.query ? `?${this.#url.query}` : "";
  }
  set search(text) {
    const query = `${text}`.replace(/[\t\n\r]/g, "");
    this.#url.query = query === "" ? null : percentEncoded(query.replace(/^\?/, ""), isSpecial(this.#url.scheme) ? SPECIAL_QUERY : QUERY);
    this.#params?.[inspectUrl](this.#url.query ?? "");
  }
  get searchParams() {
    this.#params ??= new URLSearchParams(this);
    return this.#params;
  }
  get hash() {
    return this.#url.hash ? `#${this.#url.hash}` : "";
  }
  set hash(text) {
    const fragment = `${text}`.replace(/[\t\n\r]/g, "").replace(/^#/, "");
    this.#url.hash = fragment === "" ? null : percentEncoded(fragment, FRAGMENT);
  }
  toString() {
    return this.href;
  }
  toJSON() {
    return this.href;
  }
}
