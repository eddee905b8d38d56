/** One call as an HTTP request. Pure. */

import { MainspringError } from "./errors.js";
import type { Route } from "./routes.js";

/** A request without the server's address: `path` begins with a slash and includes the query. */
export interface Planned {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const KEY_FOR_A_HEADER = /^[!-~](?:[ -~]*[!-~])?$/;

/**
 * The request for `input`, keyed with `key` when the route takes one (what `input` names as `idempotency_key` is the
 * caller's to pass on as `key`). A key that no header can carry travels in the body. Throws VALIDATION_FAILED for
 * a path parameter that is missing or that a URL cannot name.
 */
export function planned(route: Route, input: object, key: string | undefined): Planned {
  const { path, rest } = located(route.path, input);
  if (route.method === "GET") {
    return { method: route.method, path: path + queryOf(rest), headers: {}, body: undefined };
  }
  const headers: Record<string, string> = {};
  const fields: Record<string, unknown> = { ...rest };
  if (route.idempotent && key !== undefined) {
    delete fields["idempotency_key"];
    if (KEY_FOR_A_HEADER.test(key)) headers["Idempotency-Key"] = key;
    else fields["idempotency_key"] = key;
  }
  if (Object.values(fields).every((value) => value === undefined)) {
    return { method: route.method, path, headers, body: undefined };
  }
  headers["Content-Type"] = "application/json";
  return { method: route.method, path, headers, body: JSON.stringify(fields) };
}

function located(template: string, input: object): { path: string; rest: Record<string, unknown> } {
  const rest: Record<string, unknown> = { ...input };
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    // A URL with one of these as a segment would be another path.
    if (typeof value !== "string" || value === "" || value === "." || value === "..") {
      const told = value === undefined ? `${name} is missing` : `${name} cannot be ${JSON.stringify(value)}`;
      const hint = "Give its id as text.";
      throw new MainspringError({ code: "VALIDATION_FAILED", message: told, hint, field: name });
    }
    return encodeURIComponent(value);
  });
  return { path, rest };
}

function queryOf(fields: Record<string, unknown>): string {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  const query = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]));
  return given.length > 0 ? `?${query}` : "";
}
