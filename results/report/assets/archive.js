/* const archive = await degsim.archive(): every message that the page carries, read from what results/report/archive.py packs
 * (the form is described there).  Columns are decoded once; a message is put together when it is asked for.
 *
 *   archive.count          How many there are.
 *   archive.text(i)        The i-th, from 0, as the very text of its line in the journal.
 *   archive.pretty(i)      The same text with line breaks; numbers, escapes and the order of keys stay as they are.
 *   archive.read(i)        The same as an object.
 *   archive.column(path)   (i) -> what stands at a path of keys, such as ["body", "context", "bapId"], as text without quotes;
 *                          null where nothing does.  Paths lead through no lists.
 *
 * degsim.integers(packed)  {get(k)} of integers as they are packed there, for data of other sections.
 */
"use strict";

(() => {
  const STEP = 256; // messages between two places from which reading can go on

  // Integers: one for all, a list, or differences.
  const integers = (packed) => {
    if (typeof packed === "number") return { get: () => packed };
    if (packed === undefined || packed === null) return { get: () => { throw new Error("the messages of this page are damaged"); } };
    const plain = Array.isArray(packed) ? packed : [];
    if (!Array.isArray(packed)) {
      let last = 0;
      for (const step of packed.d) plain.push((last += step));
    }
    return { get: (k) => plain[k] };
  };

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

  const identifiers = (base64) => {
    const raw = bytesOf(base64);
    const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
    return (number) => {
      let text = "";
      for (let k = 0; k < 16; k += 1) text += (k === 4 || k === 6 || k === 8 || k === 10 ? "-" : "") + hex[raw[16 * number + k]];
      return text;
    };
  };

  // {plain(k): without quotes, json(k): as it is written}
  const quoted = (plain) => ({ plain, json: (k) => JSON.stringify(plain(k)) });
  const column = (packed, number, identifier) => {
    if (packed === undefined || packed === null) return null;
    if ("int" in packed) {
      const values = integers(packed.int);
      return { plain: (k) => String(values.get(k)), json: (k) => String(values.get(k)) };
    }
    if ("uuid" in packed) {
      const numbers = number(packed.uuid);
      return quoted((k) => identifier(numbers[k]));
    }
    if ("bytes" in packed) {
      const raw = bytesOf(packed.bytes);
      return quoted((k) => packed.prefix + btoa(String.fromCharCode(...raw.subarray(k * packed.size, (k + 1) * packed.size))));
    }
    const [at, words] = "of" in packed ? [integers(packed.at), packed.of] : [{ get: (k) => k }, packed.text ?? packed.json];
    if ("text" in packed) return quoted((k) => words[at.get(k)]);
    const unquoted = (text) => (text.startsWith('"') ? JSON.parse(text) : text);
    return { plain: (k) => unquoted(words[at.get(k)]), json: (k) => words[at.get(k)] };
  };

  // Which identifier stands where: 0 is the next that nobody had, through all columns in their order.
  const numbering = () => {
    let fresh = 0;
    return (codes) => Int32Array.from(codes, (code) => (code === 0 ? fresh++ : code - 1));
  };

  class Archive {
    constructor(packed) {
      this.count = packed.count;
      this._lists = [];
      const identifier = identifiers(packed.identifiers);
      const number = numbering();
      this._nodes = packed.nodes.map((node) => ({
        code: integers(node.code), lists: integers(node.lists), lengths: integers(node.lengths),
        leaves: column(node.leaves, number, identifier), items: node.items,
        shapes: (node.shapes ?? []).map((keys) => keys.map(([key, below]) => ({ key, below, head: `${JSON.stringify(key)}:` }))),
      }));
      this._cursor = new Int32Array(4 * this._nodes.length + 1); // code, list, length, leaf of each node; lists so far
      this._places = [];
      this._columns = new Map();
      this._next = 0;
    }

    // What stands at a node next, as text if it is wanted; the cursor moves on in any case.
    _value(number, wanted) {
      const node = this._nodes[number];
      const at = 4 * number;
      const code = node.code.get(this._cursor[at]++);
      if (code === 0) {
        const k = this._cursor[at + 3]++;
        return wanted ? node.leaves.json(k) : "";
      }
      if (code === 1) return this._list(node, at, wanted);
      const parts = [];
      for (const { below, head } of node.shapes[code - 2]) {
        const text = this._value(below, wanted);
        if (wanted) parts.push(head + text);
      }
      return wanted ? `{${parts.join(",")}}` : "";
    }

    _list(node, at, wanted) {
      const reference = node.lists.get(this._cursor[at + 1]++);
      if (reference > 0) return wanted ? this._lists[reference - 1] : "";
      const length = node.lengths.get(this._cursor[at + 2]++);
      const parts = [];
      for (let k = 0; k < length; k += 1) parts.push(this._value(node.items, true));
      const number = this._cursor[this._cursor.length - 1]++;
      this._lists[number] ??= `[${parts.join(",")}]`;
      return this._lists[number];
    }

    // Reads everything once: lists, places to go on from, and the leaves at these nodes.
    _survey(nodes) {
      const found = nodes.map(() => new Int32Array(this.count).fill(-1));
      this._cursor.fill(0);
      for (let i = 0; i < this.count; i += 1) {
        if (i % STEP === 0) this._places[i / STEP] = this._cursor.slice();
        const before = nodes.map((number) => this._cursor[4 * number + 3]);
        this._value(0, false);
        nodes.forEach((number, n) => { if (this._cursor[4 * number + 3] > before[n]) found[n][i] = before[n]; });
      }
      this._next = this.count;
      return found;
    }

    _node(path) {
      let number = 0;
      for (const key of path) {
        const pair = this._nodes[number].shapes.flat().find((each) => each.key === key);
        if (!pair) return null;
        number = pair.below;
      }
      return number;
    }

    columns(paths) {
      const nodes = paths.map((path) => this._node(path));
      const known = nodes.filter((number) => number !== null);
      const found = this._survey(known);
      paths.forEach((path, p) => {
        const at = nodes[p] === null ? null : found[known.indexOf(nodes[p])];
        const leaves = nodes[p] === null ? null : this._nodes[nodes[p]].leaves;
        this._columns.set(path.join("/"), (i) => (at && at[i] >= 0 ? leaves.plain(at[i]) : null));
      });
    }

    column(path) {
      const name = path.join("/");
      if (!this._columns.has(name)) this.columns([path]);
      return this._columns.get(name);
    }

    text(i) {
      if (!this._places.length) this._survey([]);
      if (this._next !== i) {
        const place = Math.floor(i / STEP);
        this._cursor.set(this._places[place]);
        for (let k = place * STEP; k < i; k += 1) this._value(0, false);
      }
      const text = this._value(0, true);
      this._next = i + 1;
      return text;
    }

    read(i) {
      return JSON.parse(this.text(i));
    }

    pretty(i) {
      return degsim.indented(this.text(i));
    }
  }

  // JSON text with line breaks and two blanks for each level; everything that says something stays to the letter.
  degsim.indented = (text) => {
    let found = "";
    let depth = 0;
    const line = () => `\n${"  ".repeat(depth)}`;
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
    tokens.forEach((token, k) => {
      const isEmpty = (token === "{" || token === "[") && "}]".includes(tokens[k + 1]);
      const closes = token === "}" || token === "]";
      if (closes && !"{[".includes(tokens[k - 1])) {
        depth -= 1;
        found += line();
      }
      found += token === ":" ? ": " : token;
      if ((token === "{" || token === "[") && !isEmpty) {
        depth += 1;
        found += line();
      } else if (token === ",") found += line();
    });
    return found;
  };

  let whole = null;
  degsim.archive = () => {
    whole ??= (async () => {
      const bytes = await degsim.inflate(await degsim.bytes("messages/archive"));
      return new Archive(JSON.parse(new TextDecoder().decode(bytes)));
    })();
    return whole;
  };
  degsim.unpacked = (packed) => new Archive(packed);
  degsim.integers = integers;
})();
