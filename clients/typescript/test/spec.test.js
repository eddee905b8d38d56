// The client has what the server has: every capability a method, every parameter and every result a type.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { MainspringClient, ROUTES } from "@mainspring/client";

import { answer, HERE, ROOT, startSink } from "./rig.js";
import { declarations, membersOf, typeOf } from "./schema.js";

const spec = JSON.parse(readFileSync(join(ROOT, "spec/openapi.json"), "utf8"));

/** Every capability with its first path; the others are aliases, and end with a number. */
const operations = Object.entries(spec.paths)
  .flatMap(([path, methods]) => Object.entries(methods).map(([method, row]) => ({ path, method, row })))
  .filter(({ row }) => row.operationId && !/\.\d+$/.test(row.operationId))
  .map(({ path, method, row }) => ({ id: row.operationId, path, method: method.toUpperCase(), row }));

let sink;
before(async () => (sink = await startSink((_, response) => answer(response, 200, {}))));
after(() => sink.stop());

test("the document has the capabilities that this test is about", () => {
  assert.ok(operations.length >= 45, `only ${operations.length}`);
});

test("the table of routes is the server's", () => {
  const named = Object.fromEntries(
    operations.map(({ id, method, path, row }) => {
      const idempotent = (row.parameters ?? []).some((each) => each.name === "Idempotency-Key");
      return [id, { capability: id, method, path, idempotent, bare: id.startsWith("discovery.") }];
    }),
  );
  const plain = Object.entries(ROUTES).filter(([name, route]) => name === route.capability);
  // A family that the document does not have at all is compared once it has.
  const families = new Set(operations.map(({ id }) => familyOf(id)));
  assert.deepEqual(Object.fromEntries(plain.filter(([name]) => families.has(familyOf(name)))), named);
  for (const [name, route] of plain) assert.equal(ROUTES[`scheduling.${name}`], route);
});

for (const { id, method, path, row } of operations) {
  const takesFields = method !== "GET" || (row.parameters ?? []).some((each) => each.in === "query");
  test(`${id} has a method, which goes to its route`, async () => {
    const client = new MainspringClient({ apiKey: "k", baseUrl: sink.url, retries: 0 });
    const found = methodOf(client, id);
    assert.equal(typeof found, "function", `${id} has no method`);
    const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const values = places.map((name) => `of ${name}/ü`);
    sink.seen.length = 0;
    await found(...values, ...(takesFields ? [{ marker: "there" }] : []));
    const [got] = sink.seen;
    const expected = places.reduce((line, name, at) => line.replace(`{${name}}`, encodeURIComponent(values[at])), path);
    assert.equal(got.method, method);
    assert.equal(got.path.split("?")[0], expected);
    if (!takesFields) return;
    if (method === "GET") assert.equal(new URL(got.path, sink.url).searchParams.get("marker"), "there");
    else assert.equal(JSON.parse(got.body).marker, "there");
  });
}

const familyOf = (id) => id.split(".").slice(0, -1).join(".");

function methodOf(client, id) {
  const parts = id.split(".").map((part) => part.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()));
  const start = parts[0] in client ? client : client.job;
  return parts.reduce((place, part) => {
    const found = place?.[part];
    return typeof found === "function" ? found.bind(place) : found;
  }, start);
}

test("the types are the server's", { timeout: 120_000 }, () => {
  const folder = join(HERE, ".try/spec");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "check.ts"), [PREAMBLE, declarations(spec), ...operations.map(checksOf)].join("\n"));
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: {
      noEmit: true,
      rootDir: "../..",
      declaration: false,
      declarationMap: false,
      noUnusedLocals: false,
    },
    include: ["*.ts"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const done = spawnSync(process.execPath, [join(HERE, "node_modules/typescript/bin/tsc"), "-p", folder], {
    encoding: "utf8",
  });
  assert.equal(done.stdout, "");
  assert.equal(done.status, 0);
});

const PREAMBLE = `
import type { Input, Output } from "@mainspring/client";

type Never<T extends never> = T;
type Fits<Wanted, Given extends Wanted> = Given;
type True<T extends true> = T;
type Keys<T> = T extends unknown ? keyof T : never;
type At<T, K> = T extends unknown ? (K extends keyof T ? T[K] : never) : never;
/** The fields of what the server tells that the client's type does not have. */
type Untold<R, C, P extends string = ""> = R extends readonly (infer A)[]
  ? Untold<A, Extract<C, readonly unknown[]>[number], P>
  : R extends object
    ? string extends keyof R
      ? never
      : {
          [K in keyof R & string]: K extends Keys<C>
            ? Untold<R[K], NonNullable<At<C, K>>, \`\${P}.\${K}\`>
            : \`\${P}.\${K}\`;
        }[keyof R & string]
    : never;
`;

/** Lines that do not compile when the client's types of a capability are not the server's. */
function checksOf({ id, row }, number) {
  const name = JSON.stringify(id);
  const { members, required, groups } = sentOf(row);
  const result = row.responses["200"].content["application/json"].schema;
  const told = typeOf(ROUTES[id].bare ? result : result.properties.data);
  const lines = [
    `// ${id}`,
    `type Sent${number} = ${membersOf(members, required)};`,
    `type Unknown${number} = Never<Exclude<keyof Sent${number}, Keys<Input<${name}>>>>;`,
    `type Ignored${number} = Never<Exclude<Keys<Input<${name}>>, keyof Sent${number}>>;`,
    `type Told${number} = Fits<Omit<Output<${name}>, "_metadata">, ${told}>;`,
    `type Untold${number} = Never<Untold<${told}, Output<${name}>>>;`,
    ...members.map(([member]) => {
      const key = JSON.stringify(member);
      const taken = `At<Input<${name}>, ${key}> | null | undefined`;
      return `type Taken${number}_${member} = Fits<${taken}, Sent${number}[${key}]>;`;
    }),
  ];
  const places = [...required];
  const only = (names) => {
    const keys = [...places, ...names].map((each) => JSON.stringify(each)).join(" | ") || "never";
    return `{ [K in ${keys}]: NonNullable<Sent${number}[K]> }`;
  };
  groups.forEach((group, at) => {
    const others = groups.filter((each) => each !== group).map(([first]) => first);
    lines.push(`type Needed${number}_${at} = True<${only(others)} extends Input<${name}> ? false : true>;`);
    group.forEach((spelling) => {
      lines.push(`type Enough${number}_${at}_${spelling} = Fits<Input<${name}>, ${only([...others, spelling])}>;`);
    });
  });
  if (groups.length === 0) lines.push(`type Free${number} = Fits<Input<${name}>, ${only([])}>;`);
  return lines.join("\n");
}

/** What a capability takes: its members, those that must be there, and the groups of which one must be. */
function sentOf(row) {
  const parameters = (row.parameters ?? []).filter((each) => each.in !== "header");
  const spellings = parameters.map((each) => [each.name, ...othersOf(each)]);
  const members = parameters.flatMap((each, at) => spellings[at].map((name) => [name, each.schema]));
  const must = parameters.map((each, at) => each.required && spellings[at]).filter(Boolean);
  const required = new Set(must.filter((names) => names.length === 1).flat());
  const body = row.requestBody?.content["application/json"].schema;
  const [whole, ...needs] = body?.allOf ?? (body ? [body] : []);
  const schema = whole ? spec.components.schemas[whole.$ref.split("/").at(-1)] : {};
  // The path wins over a field of the same name.
  for (const [name, each] of Object.entries(schema.properties ?? {})) {
    if (!required.has(name)) members.push([name, each]);
  }
  const groups = must.filter((names) => names.length > 1);
  groups.push(...needs.map((need) => need.anyOf.map((each) => each.required[0])));
  return { members, required, groups };
}

/** The other names of a parameter, which its description tells. */
function othersOf({ description = "" }) {
  const told = /Also understood as (.+)\./.exec(description)?.[1] ?? "";
  return [...told.matchAll(/`(\w+)`/g)].map(([, name]) => name);
}
