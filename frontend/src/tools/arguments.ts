/** A form for a tool's arguments, made from its JSON Schema, and what was typed in it. */

type Schema = Record<string, unknown>;

export interface ArgumentField {
  name: string;
  kind: "text" | "number" | "yes_no" | "choice" | "json";
  isRequired: boolean;
  description: string;
  /** For a choice: each as JSON text. */
  choices: string[];
  /** What holds when nothing is typed, as JSON text; "" where that is nothing. */
  fallback: string;
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function fieldsOf(parameters: Schema): ArgumentField[] {
  const properties = isSchema(parameters.properties) ? parameters.properties : {};
  const required = Array.isArray(parameters.required) ? parameters.required : [];
  return Object.entries(properties).map(([name, schema]) => {
    const shape = isSchema(schema) ? schema : {};
    return {
      name,
      kind: kindOf(shape),
      isRequired: required.includes(name),
      description: typeof shape.description === "string" ? shape.description : "",
      choices: Array.isArray(shape.enum) ? shape.enum.map((value) => JSON.stringify(value)) : [],
      fallback: "default" in shape ? JSON.stringify(shape.default) : "",
    };
  });
}

function kindOf(schema: Schema): ArgumentField["kind"] {
  if (Array.isArray(schema.enum)) return "choice";
  const types = Array.isArray(schema.anyOf)
    ? schema.anyOf.map((each) => isSchema(each) && each.type)
    : [schema.type];
  // "or nothing" is what an empty field says anyway.
  const [type, ...more] = types.filter((each) => each !== "null");
  if (more.length > 0) return "json";
  if (type === "string") return "text";
  if (type === "integer" || type === "number") return "number";
  return type === "boolean" ? "yes_no" : "json";
}

export type ReadArguments =
  | { arguments: Record<string, unknown>; problem: null }
  | { arguments: null; problem: string };

/** The arguments that the form holds; a field that is empty is left out. */
export function readArguments(fields: ArgumentField[], typed: Record<string, string>): ReadArguments {
  const found: Record<string, unknown> = {};
  for (const field of fields) {
    const text = typed[field.name] ?? "";
    if (text === "") {
      if (field.isRequired && field.kind === "text") found[field.name] = "";
      else if (field.isRequired) return { arguments: null, problem: `Fill in “${field.name}”.` };
      continue;
    }
    const value = typedValue(field, text);
    if (value === undefined) {
      const what = field.kind === "number" ? "a number" : 'JSON, for example [1, 2] or {"a": "b"}';
      return { arguments: null, problem: `“${field.name}” must be ${what}.` };
    }
    found[field.name] = value;
  }
  return { arguments: found, problem: null };
}

function typedValue(field: ArgumentField, text: string): unknown {
  if (field.kind === "text") return text;
  if (field.kind === "number") return Number.isFinite(Number(text)) ? Number(text) : undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The call as Python would write it, for the eye. */
export function writtenCall(name: string, args: Record<string, unknown>): string {
  const list = Object.entries(args).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `${name}(${list.join(", ")})`;
}
