/** Remembers the results used last, up to a total number of characters. */
export class Memo<Value> {
  readonly #limit: number;
  /** A Map keeps insertion order: the first entry is the one used longest ago. */
  readonly #entries = new Map<string, { value: Value; size: number }>();
  #size = 0;

  /** `limit`: characters of keys and values together. One entry larger than that is not kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: Value, valueLength: number): void {
    this.#drop(key);
    const size = key.length + valueLength;
    if (size > this.#limit) return;
    this.#entries.set(key, { value, size });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#limit) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#size -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}
