/** What the sandbox's Python is not, said before the user runs into it. */
export function Lacking() {
  return (
    <details class="advanced">
      <summary>What this Python lacks</summary>
      <ul class="facts-list muted">
        <li>
          Classes cannot inherit, so there are no exceptions of your own; no <code>property</code>,{" "}
          <code>staticmethod</code> or <code>classmethod</code>.
        </li>
        <li>
          No <code>yield</code>, no <code>del</code>, no <code>except*</code>, no star imports.
        </li>
        <li>
          No packages, and of Python's own modules only: math, json, re, datetime, collections, itertools,
          functools, decimal, random, dataclasses, hashlib, base64, copy, bisect, csv, tomllib, typing,
          unicodedata.
        </li>
        <li>
          No files, network, environment or programs; <code>open</code>, <code>os</code> and the like refuse.
          What you allow below comes as functions, to be called directly, not inside <code>map</code> or{" "}
          <code>sorted</code>.
        </li>
        <li>
          A call has 5 seconds and 64 MB, and returns what JSON knows: text, numbers, true or false, None,
          lists and dictionaries. Nothing is kept until the next call; <code>sleep</code> does not wait.
        </li>
      </ul>
    </details>
  );
}
