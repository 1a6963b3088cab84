/** JSON text for reading: a tool call's arguments as the model wrote them. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const STEP = "  ";

/**
 * Indented where it is JSON; otherwise as it is, for the model may still be writing it, or have got it wrong.
 *
 * Works on the text: to parse it and write it again would round long numbers and drop what is there twice,
 * and the user would be shown something else than what runs.
 */
export function formatJson(json: string): string {
  if (!isJson(json)) return json;
  const tokens = json.match(TOKEN) ?? [];
  let text = "";
  let depth = 0;
  for (const [at, token] of tokens.entries()) {
    const isEmpty = (tokens[at + 1] === "}" || tokens[at + 1] === "]") && (token === "{" || token === "[");
    const line = () => `\n${STEP.repeat(depth)}`;
    if (token === "{" || token === "[") {
      depth += 1;
      text += isEmpty ? token : token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      text += tokens[at - 1] === "{" || tokens[at - 1] === "[" ? token : line() + token;
    } else if (token === ",") text += token + line();
    else text += token === ":" ? ": " : token;
  }
  return text;
}

/** Why the text cannot be a tool's arguments, as a sentence; "" when it can. */
export function problemOfArguments(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? "" : "Arguments are written in braces: { … }.";
  } catch (error) {
    return `This is not valid JSON. ${error instanceof Error ? error.message : ""}`.trim();
  }
}

/** The texts of several lines in an object: they are hard to read with their lines written as \n. */
export function textsOfLines(json: string): { name: string; text: string }[] {
  if (problemOfArguments(json)) return [];
  const entries = Object.entries(JSON.parse(json) as Record<string, unknown>);
  return entries.flatMap(([name, text]) =>
    typeof text === "string" && text.trimEnd().includes("\n") ? [{ name, text }] : [],
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
