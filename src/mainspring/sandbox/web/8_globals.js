// What a script sees. Nothing that waits or shares memory: only the server may make this process wait.
for (const name of ["Atomics", "SharedArrayBuffer"]) delete globalThis[name];
const crypto = Object.freeze({ getRandomValues, randomUUID });
const given = {
  nodeget, inlineCall, randomUUID, fetch, Headers, Request, Response, URL, URLSearchParams, TextEncoder, TextDecoder,
  setTimeout, clearTimeout, setInterval, clearInterval: clearTimeout, setImmediate, clearImmediate: clearTimeout,
  console: Object.freeze(console), crypto,
};
for (const name of Object.keys(given)) {
  Object.defineProperty(globalThis, name, { value: given[name], writable: false, configurable: false, enumerable: false });
}
for (const kind of [Headers, Request, Response, URL, URLSearchParams, TextEncoder, TextDecoder]) {
  Object.defineProperty(kind.prototype, Symbol.toStringTag, { value: kind.name, configurable: true });
}
