// URLs (https://url.spec.whatwg.org/).
const PORTS = { __proto__: null, "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21", "file:": "" };
const CONTROL = "\\u0000-\\u001f\\u007f-\\u{10ffff}";
const FRAGMENT = new RegExp(`[${CONTROL} "<>\`]`, "gu");
const QUERY = new RegExp(`[${CONTROL} "#<>]`, "gu");
const SPECIAL_QUERY = new RegExp(`[${CONTROL} "#<>']`, "gu");
const PATH = new RegExp(`[${CONTROL} "#<>?^\`{}]`, "gu");
const USERINFO = new RegExp(`[${CONTROL} "#<>?^\`{}/:;=@[\\\\\\]|]`, "gu");
const OPAQUE = new RegExp(`[${CONTROL}]`, "gu");
const HOST_FORBIDDEN = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const DOMAIN_FORBIDDEN = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;
const DRIVE = /^[a-zA-Z][:|]$/;

const badUrl = (text) => new TypeError(`not a URL: ${`${text}`.slice(0, 200)}`);

function percentEncoded(text, set) {
  return text.toWellFormed().replace(set, (letter) => {
    let encoded = "";
    for (const byte of bytesOf(letter)) encoded += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
    return encoded;
  });
}

function percentDecoded(text) {
  const bytes = bytesOf(text);
  const out = new Uint8Array(bytes.length);
  let size = 0;
  for (let at = 0; at < bytes.length; at++) {
    const digits = bytes[at] === 0x25 ? binaryOf(bytes.subarray(at + 1, at + 3)) : "";
    if (/^[0-9a-fA-F]{2}$/.test(digits)) {
      out[size++] = Number.parseInt(digits, 16);
      at += 2;
    } else {
      out[size++] = bytes[at];
    }
  }
  return out.subarray(0, size);
}

// A label of a domain in letters of ASCII (RFC 3492).
function punycode(label) {
  const points = Array.from(label, (letter) => letter.codePointAt(0));
  let out = points.filter((point) => point < 128).map((point) => charCode(point)).join("");
  let handled = out.length;
  const basic = handled;
  if (basic > 0) out += "-";
  let [n, delta, bias] = [128, 0, 72];
  const digit = (value) => charCode(value < 26 ? value + 97 : value + 22);
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= n));
    delta += (next - n) * (handled + 1);
    n = next;
    for (const point of points) {
      if (point < n) delta++;
      if (point !== n) continue;
      let rest = delta;
      for (let k = 36; ; k += 36) {
        const limit = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (rest < limit) break;
        out += digit(limit + ((rest - limit) % (36 - limit)));
        rest = Math.floor((rest - limit) / (36 - limit));
      }
      out += digit(rest);
      bias = adapted(delta, handled + 1, handled === basic);
      delta = 0;
      handled++;
    }
    delta++;
    n++;
  }
  return `xn--${out}`;
}

function adapted(delta, count, first) {
  let value = Math.floor(delta / (first ? 700 : 2));
  value += Math.floor(value / count);
  let k = 0;
  for (; value > 455; k += 36) value = Math.floor(value / 35);
  return k + Math.floor((36 * value) / (value + 38));
}

function domainOf(text) {
  const folded = text.replace(/[\u00ad\u200b\u2060\ufeff]/g, "").normalize("NFKC").toLowerCase().normalize("NFC");
  const labels = folded.replace(/[\u3002\uff0e\uff61]/g, ".").split(".");
  if (labels.some((label) => /^xn--($|.*[^\0-\x7f])/.test(label))) return null;
  const domain = labels
    .map((label) => (/[^\0-\x7f]/.test(label) ? punycode(label) : label))
    .join(".");
  if (domain === "" || DOMAIN_FORBIDDEN.test(domain)) return null;
  return domain;
}

function hostOf(text, special) {
  if (text.startsWith("[")) {
    const pieces = text.endsWith("]") ? ipv6Of(text.slice(1, -1)) : null;
    return pieces === null ? null : `[${ipv6Text(pieces)}]`;
  }
  if (!special) return HOST_FORBIDDEN.test(text) ? null : percentEncoded(text, OPAQUE);
  const domain = domainOf(textOf(percentDecoded(text)));
  if (domain === null) return null;
  const parts = domain.split(".");
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return /^(\d+|0[xX][0-9a-fA-F]*)$/.test(parts.at(-1)) ? ipv4Of(parts) : domain;
}

function ipv4Of(parts) {
  if (parts.length > 4) return null;
  const numbers = parts.map((part) => {
    if (part === "") return Number.NaN;
    if (/^0[xX]/.test(part)) return /^0[xX][0-9a-fA-F]*$/.test(part) ? Number.parseInt(part.slice(2) || "0", 16) : Number.NaN;
    if (part.length > 1 && part.startsWith("0")) return /^[0-7]+$/.test(part) ? Number.parseInt(part, 8) : Number.NaN;
    return /^\d+$/.test(part) ? Number(part) : Number.NaN;
  });
  const last = numbers.pop();
  if (!(last < 256 ** (4 - numbers.length)) || numbers.some((number) => !(number < 256))) return null;
  let address = last;
  numbers.forEach((number, at) => (address += number * 256 ** (3 - at)));
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

function ipv6Of(text) {
  const sides = text.split("::");
  if (sides.length > 2) return null;
  const [head, tail] = sides.map((side) => (side === "" ? [] : side.split(":")));
  const all = tail === undefined ? head : [...head, ...tail];
  const pieces = [];
  for (const [at, piece] of all.entries()) {
    const inner = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(piece);
    if (inner !== null) {
      const bytes = inner.slice(1).map(Number);
      const zeros = inner.slice(1).some((byte) => byte.length > 1 && byte.startsWith("0"));
      if (at !== all.length - 1 || zeros || bytes.some((byte) => byte > 255) || (tail?.length === 0)) return null;
      pieces.push(bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) {
      pieces.push(Number.parseInt(piece, 16));
    } else {
      return null;
    }
  }
  if (tail === undefined) return pieces.length === 8 ? pieces : null;
  if (pieces.length > 7) return null;
  return [...pieces.slice(0, head.length), ...Array(8 - pieces.length).fill(0), ...pieces.slice(head.length)];
}

function ipv6Text(pieces) {
  let [best, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let run = 0;
    while (at + run < 8 && pieces[at + run] === 0) run++;
    if (run > length) [best, length] = [at, run];
  }
  const hex = pieces.map((piece) => piece.toString(16));
  if (best < 0) return hex.join(":");
  return `${hex.slice(0, best).join(":")}::${hex.slice(best + length).join(":")}`;
}
