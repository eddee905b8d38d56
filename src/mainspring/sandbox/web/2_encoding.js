// Text and bytes (https://encoding.spec.whatwg.org/): UTF-8, and Latin-1 for reading.
const UTF8_LABELS = ["utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"];
const LATIN_LABELS = ["latin1", "iso-8859-1", "iso8859-1", "l1", "ascii", "us-ascii", "windows-1252", "cp1252"];
const codePoint = String.fromCodePoint;
const charCode = String.fromCharCode;
const { encodeURIComponent: escapeUtf8, decodeURIComponent: unescapeUtf8, escape: escapeBytes, unescape: unescapeBytes } =
  globalThis;

function bytesOf(text) {
  const binary = unescapeBytes(escapeUtf8(`${text}`.toWellFormed()));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

function binaryOf(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += apply(charCode, null, bytes.subarray(at, at + 8192));
  return text;
}

function viewOf(source) {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  throw new TypeError("expected an ArrayBuffer or a view of one");
}

function textOf(bytes) {
  try {
    return unescapeUtf8(escapeBytes(binaryOf(bytes)));
  } catch {
    return decodeLoosely(bytes, false, false)[0];
  }
}

// Every sequence that is not UTF-8 becomes U+FFFD; answers the text and how many bytes of an unfinished one are left.
function decodeLoosely(bytes, fatal, more) {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    const need = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : -1;
    let code = need <= 0 ? first : first & (0x3f >> need);
    let got = 0;
    while (got < need) {
      const next = bytes[at + 1 + got];
      const low = got > 0 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      const high = got > 0 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      if (next === undefined || next < low || next > high) break;
      code = (code << 6) | (next & 0x3f);
      got++;
    }
    if (got === need) {
      text += codePoint(code);
    } else if (more && at + 1 + got >= bytes.length && need > 0) {
      return [text, bytes.length - at];
    } else if (fatal) {
      throw new TypeError("the bytes are not UTF-8");
    } else {
      text += "\ufffd";
    }
    at += 1 + got;
  }
  return [text, 0];
}

class TextEncoder {
  get encoding() {
    return "utf-8";
  }
  encode(text = "") {
    return bytesOf(text);
  }
  encodeInto(text, target) {
    let read = 0;
    let written = 0;
    for (const letter of `${text}`) {
      const bytes = bytesOf(letter);
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      read += letter.length;
      written += bytes.length;
    }
    return { read, written };
  }
}

class TextDecoder {
  #latin;
  #kept = new Uint8Array(0);
  #begun = false;
  constructor(label = "utf-8", options = {}) {
    const name = `${label}`.trim().toLowerCase();
    this.#latin = LATIN_LABELS.includes(name);
    if (!this.#latin && !UTF8_LABELS.includes(name)) throw new RangeError(`no encoding is called ${name}`);
    this.fatal = Boolean(options?.fatal);
    this.ignoreBOM = Boolean(options?.ignoreBOM);
  }
  get encoding() {
    return this.#latin ? "windows-1252" : "utf-8";
  }
  decode(source = new Uint8Array(0), options = {}) {
    let bytes = viewOf(source);
    if (this.#latin) return binaryOf(bytes);
    const more = Boolean(options?.stream);
    if (this.#kept.length > 0) {
      const joined = new Uint8Array(this.#kept.length + bytes.length);
      joined.set(this.#kept);
      joined.set(bytes, this.#kept.length);
      bytes = joined;
    }
    let text, left;
    try {
      [text, left] = [unescapeUtf8(escapeBytes(binaryOf(bytes))), 0];
    } catch {
      [text, left] = decodeLoosely(bytes, this.fatal, more);
    }
    this.#kept = bytes.slice(bytes.length - left);
    if (!this.#begun && !this.ignoreBOM && text.startsWith("\ufeff")) text = text.slice(1);
    this.#begun = more && (this.#begun || text !== "");
    return text;
  }
}

const toBase64 = Uint8Array.prototype.toBase64;
const base64Of = (bytes) => apply(toBase64, bytes, []);
const bytesOfBase64 = Uint8Array.fromBase64.bind(Uint8Array);
