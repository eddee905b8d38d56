// JSON Schema, as far as the server's document uses it, as TypeScript types.

/** A name for each component of the document, and its type. */
export function declarations(document) {
  return Object.entries(document.components.schemas)
    .map(([name, schema]) => `export type ${name} = ${typeOf(schema)};`)
    .join("\n");
}

/** The type of a schema. */
export function typeOf(schema) {
  if (schema === undefined || schema === true) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const { allOf, anyOf, oneOf, ...rest } = schema;
  if (allOf) return [typeOf(rest), ...allOf.map(typeOf)].map(wrapped).join(" & ");
  const choice = anyOf ?? oneOf;
  if (choice) return `${wrapped(typeOf(rest))} & ${wrapped(choice.map(typeOf).map(wrapped).join(" | "))}`;
  if (schema.properties ?? schema.required) return objectOf(schema);
  if (Array.isArray(schema.type)) return schema.type.map((type) => wrapped(typeOf({ ...schema, type }))).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array":
      return `${wrapped(typeOf(schema.items))}[]`;
    case "object":
      return objectOf(schema);
    default:
      return "unknown";
  }
}

function wrapped(type) {
  return `(${type})`;
}

function objectOf(schema) {
  const required = schema.required ?? [];
  const named = { ...Object.fromEntries(required.map((name) => [name, true])), ...schema.properties };
  if (Object.keys(named).length === 0) return `Record<string, ${typeOf(schema.additionalProperties)}>`;
  return membersOf(Object.entries(named), new Set(required));
}

/** An object type of `[name, schema]` members. */
export function membersOf(members, required) {
  const lines = members.map(([name, schema]) => {
    return `${JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(schema)};`;
  });
  return `{ ${lines.join(" ")} }`;
}
