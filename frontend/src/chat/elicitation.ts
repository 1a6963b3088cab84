/**
 * The form of a server's question: fields from a flat JSON Schema, and values for it.
 *
 * Servers may ask for texts, numbers, switches and choices; a field that is none of them is taken as text.
 */

export interface Choice {
  value: string;
  label: string;
}

export interface FormField {
  name: string;
  label: string;
  description: string;
  kind: "text" | "number" | "integer" | "switch" | "choice" | "choices";
  /** The type of the input for a text: email, url, date … */
  input: "text" | "email" | "url" | "date" | "datetime-local";
  choices: Choice[];
  isRequired: boolean;
  least: number | null;
  most: number | null;
  initial: FormValue;
}

/** What a field holds while it is filled in: text as typed, a switch, or the chosen values. */
export type FormValue = string | boolean | string[];

type Schema = Record<string, unknown>;

const INPUTS: Record<string, FormField["input"]> = {
  email: "email",
  uri: "url",
  date: "date",
  "date-time": "datetime-local",
};

export function fieldsOf(schema: Schema): FormField[] {
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(asSchema(schema.properties)).map(([name, value]) => {
    const property = asSchema(value);
    const isArray = property.type === "array";
    const choices = choicesOf(isArray ? asSchema(property.items) : property);
    const kind = kindOf(property, choices);
    return {
      name,
      label: asText(property.title) || name,
      description: asText(property.description),
      kind,
      input: INPUTS[asText(property.format)] ?? "text",
      choices,
      isRequired: required.includes(name),
      least: asNumber(property.minimum ?? property.minLength ?? property.minItems),
      most: asNumber(property.maximum ?? property.maxLength ?? property.maxItems),
      initial: initialOf(property.default, kind),
    };
  });
}

/** Why a field cannot be sent like this, as a sentence; "" when it can. */
export function problemOf(field: FormField, value: FormValue): string {
  const { kind, isRequired, least, most } = field;
  if (typeof value === "boolean") return "";
  if (value.length === 0) return isRequired ? "This is needed." : "";
  if (kind === "number" || kind === "integer") return problemOfNumber(field, Number(value));
  if (kind === "choices") {
    if (least !== null && value.length < least) return `Choose at least ${least}.`;
    return most !== null && value.length > most ? `Choose at most ${most}.` : "";
  }
  if (kind === "choice") return "";
  const text = String(value);
  const length = [...text].length;
  if (least !== null && length < least) return `At least ${least} characters.`;
  if (most !== null && length > most) return `At most ${most} characters.`;
  if (field.input === "email" && !/^[^\s@]+@[^\s@]+$/.test(text))
    return "An e-mail address: name@example.org.";
  if (field.input === "url" && !URL.canParse(text)) return "A whole address: https://example.org.";
  return "";
}

/** What is sent: values in the types that the schema asks for; a field that was left empty is left out. */
export function contentOf(fields: FormField[], values: Record<string, FormValue>): Record<string, unknown> {
  const content: Record<string, unknown> = {};
  for (const field of fields) {
    const value = values[field.name] ?? field.initial;
    if (typeof value !== "boolean" && value.length === 0) continue;
    content[field.name] = sentValue(field, value);
  }
  return content;
}

function sentValue({ kind, input }: FormField, value: FormValue): unknown {
  if (kind === "number" || kind === "integer") return Number(value);
  // The input gives local time without a zone, which no JSON Schema takes for a moment.
  if (input === "datetime-local" && kind === "text") return new Date(String(value)).toISOString();
  return value;
}

function problemOfNumber({ kind, least, most }: FormField, value: number): string {
  if (!Number.isFinite(value)) return "This is not a number.";
  if (kind === "integer" && !Number.isInteger(value)) return "A whole number.";
  if (least !== null && value < least) return `At least ${least}.`;
  return most !== null && value > most ? `At most ${most}.` : "";
}

function kindOf({ type }: Schema, choices: Choice[]): FormField["kind"] {
  if (type === "array") return "choices";
  if (choices.length > 0) return "choice";
  if (type === "number" || type === "integer") return type;
  return type === "boolean" ? "switch" : "text";
}

/** `enum` with or without names, or titled constants. */
function choicesOf(schema: Schema): Choice[] {
  const titled = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(titled)) {
    return titled.map(asSchema).map(({ const: value, title }) => ({
      value: asText(value),
      label: asText(title) || asText(value),
    }));
  }
  if (!Array.isArray(schema.enum)) return [];
  const names = Array.isArray(schema.enumNames) ? schema.enumNames : [];
  return schema.enum.map((value, at) => ({
    value: String(value),
    label: asText(names[at]) || String(value),
  }));
}

function initialOf(value: unknown, kind: FormField["kind"]): FormValue {
  if (kind === "switch") return value === true;
  if (kind === "choices") return Array.isArray(value) ? value.map(String) : [];
  return value === undefined || value === null ? "" : String(value);
}

function asSchema(value: unknown): Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Schema) : {};
}

const asText = (value: unknown): string => (typeof value === "string" ? value : "");
const asNumber = (value: unknown): number | null => (typeof value === "number" ? value : null);
