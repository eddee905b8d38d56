// The parts of a URL: how they are read, changed and put together.
const isSpecial = (scheme) => scheme in PORTS;

function readUrl(input, base) {
  const text = `${input}`.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "").replace(/[\t\n\r]/g, "");
  const found = /^([a-zA-Z][a-zA-Z0-9+.-]*:)(.*)$/s.exec(text);
  const [rest, hash] = cut(found === null ? text : found[2], "#");
  const scheme = found === null ? null : found[1].toLowerCase();
  const url = base !== null && (scheme === null || (scheme === base.scheme && isSpecial(scheme)))
    ? relativeUrl(rest, base, scheme !== null)
    : absoluteUrl(rest, scheme);
  if (url === null) return null;
  url.hash = hash === null ? null : percentEncoded(hash, FRAGMENT);
  return url;
}

function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

function newUrl(scheme) {
  return { scheme, username: "", password: "", host: null, port: "", path: [], opaque: null, query: null, hash: null };
}

function absoluteUrl(rest, scheme) {
  if (scheme === null) return null;
  const url = newUrl(scheme);
  const [before, query] = cut(rest, "?");
  if (scheme === "file:") return fileUrl(url, before, query, null);
  const special = isSpecial(scheme);
  url.query = query === null ? null : percentEncoded(query, special ? SPECIAL_QUERY : QUERY);
  if (special) return withAuthority(url, before.replace(/^[\\/]*/, ""));
  if (before.startsWith("//")) return withAuthority(url, before.slice(2));
  if (before.startsWith("/")) {
    url.path = pathOf(url, before.slice(1), []);
    return url;
  }
  url.opaque = percentEncoded(before, OPAQUE);
  return url;
}

function relativeUrl(rest, base, named) {
  const [before, query] = cut(rest, "?");
  if (base.opaque !== null) {
    if (rest !== "") return null;
    return { ...base, path: [], hash: null };
  }
  const url = newUrl(base.scheme);
  if (base.scheme === "file:") return fileUrl(url, before, query, base);
  const special = isSpecial(base.scheme);
  const slashed = special ? before.replace(/\\/g, "/") : before;
  url.query = query === null ? null : percentEncoded(query, special ? SPECIAL_QUERY : QUERY);
  if (slashed.startsWith("//") && (!named || before.startsWith("//"))) {
    return withAuthority(url, special ? before.replace(/^[\\/]*/, "") : before.slice(2));
  }
  if (slashed.startsWith("//")) return withAuthority(url, before.replace(/^[\\/]*/, ""));
  for (const part of ["username", "password", "host", "port"]) url[part] = base[part];
  if (slashed.startsWith("/")) {
    url.path = pathOf(url, before.slice(1), []);
  } else if (before === "") {
    url.path = [...base.path];
    if (query === null) url.query = base.query;
  } else {
    url.path = pathOf(url, before, base.path.slice(0, -1));
  }
  return url;
}

function fileUrl(url, before, query, base) {
  url.host = "";
  url.query = query === null ? null : percentEncoded(query, SPECIAL_QUERY);
  const slashed = before.replace(/\\/g, "/");
  if (slashed.startsWith("//")) {
    const end = slashed.indexOf("/", 2);
    const host = slashed.slice(2, end < 0 ? undefined : end);
    if (DRIVE.test(host)) {
      url.path = pathOf(url, slashed.slice(2), []);
      return url;
    }
    if (host !== "") {
      url.host = hostOf(host, true);
      if (url.host === null) return null;
      if (url.host === "localhost") url.host = "";
    }
    url.path = pathOf(url, end < 0 ? "" : slashed.slice(end + 1), []);
    return url;
  }
  const drive = base !== null && base.path.length > 0 && /^[a-zA-Z]:$/.test(base.path[0]) ? base.path[0] : null;
  const begins = /^[a-zA-Z][:|]([/]|$)/.test(slashed.replace(/^\//, ""));
  if (slashed.startsWith("/")) {
    if (base !== null) url.host = base.host;
    url.path = pathOf(url, slashed.slice(1), drive !== null && !begins ? [drive] : []);
  } else if (base === null || begins) {
    if (base !== null) url.host = base.host;
    url.path = pathOf(url, slashed, []);
  } else {
    url.host = base.host;
    if (slashed === "") {
      url.path = [...base.path];
      if (query === null) url.query = base.query;
    } else {
      url.path = pathOf(url, slashed, shortened(url, base.path));
    }
  }
  return url;
}

function withAuthority(url, rest) {
  const special = isSpecial(url.scheme);
  const end = rest.search(special ? /[\\/]/ : /\//);
  const authority = end < 0 ? rest : rest.slice(0, end);
  const at = authority.lastIndexOf("@");
  if (at >= 0) {
    const [username, password] = cut(authority.slice(0, at), ":");
    url.username = percentEncoded(username, USERINFO);
    url.password = percentEncoded(password ?? "", USERINFO);
  }
  const place = authority.slice(at + 1);
  if (!setPlace(url, place) || ((special || at >= 0) && url.host === "")) return null;
  url.path = end < 0 ? (special ? [""] : []) : pathOf(url, rest.slice(end + 1), []);
  return url;
}

function setPlace(url, place) {
  const found = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/s.exec(place);
  if (found === null || (found[1] === "" && found[2] !== undefined)) return false;
  const host = hostOf(found[1], isSpecial(url.scheme) && found[1] !== "");
  if (host === null) return false;
  url.host = host;
  return setPort(url, found[2] ?? "");
}

function setPort(url, digits) {
  if (digits !== "" && Number(digits) > 65535) return false;
  url.port = digits === "" || `${Number(digits)}` === PORTS[url.scheme] ? "" : `${Number(digits)}`;
  return true;
}

function shortened(url, path) {
  const keep = url.scheme === "file:" && path.length === 1 && /^[a-zA-Z]:$/.test(path[0]);
  return keep ? [...path] : path.slice(0, -1);
}

function pathOf(url, text, before) {
  let path = [...before];
  const segments = text.split(isSpecial(url.scheme) ? /[\\/]/ : "/");
  segments.forEach((segment, at) => {
    const last = at === segments.length - 1;
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "..") {
      path = shortened(url, path);
      if (last) path.push("");
    } else if (plain === ".") {
      if (last) path.push("");
    } else if (url.scheme === "file:" && path.length === 0 && DRIVE.test(segment)) {
      path.push(`${segment[0]}:`);
    } else {
      path.push(percentEncoded(segment, PATH));
    }
  });
  return path;
}

function pathText(url) {
  return url.opaque === null ? url.path.map((segment) => `/${segment}`).join("") : url.opaque;
}

function placeText(url) {
  return url.host === null ? "" : `${url.host}${url.port === "" ? "" : `:${url.port}`}`;
}

function urlText(url) {
  const login = `${url.username}${url.password === "" ? "" : `:${url.password}`}`;
  const authority = url.host === null ? "" : `//${login === "" ? "" : `${login}@`}${placeText(url)}`;
  const guarded = url.host === null && url.opaque === null && url.path.length > 1 && url.path[0] === "" ? "/." : "";
  const query = url.query === null ? "" : `?${url.query}`;
  return `${url.scheme}${authority}${guarded}${pathText(url)}${query}${url.hash === null ? "" : `#${url.hash}`}`;
}
