/* degsim.table(element, columns, rows, options): a table that is sorted by its heads, filtered by a field, and paged.
 *
 * columns: [{name, title, unit, kind, digits, value, show}]
 *   title    what the head says; unit (optional) is written after it.
 *   name     key of the value in a row; or value(row) computes it.
 *   kind     "text" (default), "number" (right, `digits` decimals, default 1), "signed", "percent", "count" or "decimal" (exact
 *            text of a Decimal, sorted by its amount).
 *   show     (value, row) -> text or node, instead of what the kind would write.
 *   wide     true for sentences: the column is never squeezed.
 * rows: objects or arrays (then `name` is an index).
 * options: {caption (required: what it is; quiet: true where a heading says the same already), filter: true, page: 50, empty: "nothing", sort: [name, "ascending"|"descending"],
 *           onOpen: (row) => ..., called by a click on a row or Enter on its first cell}
 * Returns {update(rows), rows()}: other rows with the same sorting and filter; the rows shown on all pages.
 */
"use strict";

(() => {
  const written = {
    text: (x) => (x === null || x === undefined ? "–" : String(x)),
    number: (x, column) => degsim.number(x, column.digits ?? 1),
    signed: (x, column) => degsim.signed(x, column.digits ?? 1),
    percent: (x, column) => degsim.percent(x, column.digits ?? 1),
    count: (x) => degsim.count(x),
    decimal: (x) => degsim.decimal(x),
  };
  const collator = new Intl.Collator("en", { numeric: true });
  const isText = (column) => (column.kind ?? "text") === "text";
  const valueOf = (column, row) => (column.value ? column.value(row) : row[column.name]);
  const textOf = (column, row) => written[column.kind ?? "text"](valueOf(column, row), column);

  // So long a text stands on one line; the first column stays when the others scroll, and leaves them room.
  const [LONG, LONG_NAME] = [40, 15];
  const classOf = (column, content, isFirst) => {
    if (!isText(column)) return "number";
    if (column.wide) return "wide";
    if (typeof content !== "string") return "";
    if (content.length <= (isFirst ? LONG_NAME : LONG)) return "short";
    return content.includes(" ") ? "" : "unbroken";
  };

  const compared = (column) => (a, b) => {
    const [x, y] = [valueOf(column, a), valueOf(column, b)];
    const [noX, noY] = [x === null || x === undefined, y === null || y === undefined];
    if (noX || noY) return noX - noY;
    return isText(column) ? collator.compare(x, y) : Number(x) - Number(y);
  };

  degsim.table = (element, columns, rows, options = {}) => {
    const size = options.page ?? 50;
    const state = { rows, sort: options.sort ?? null, text: "", page: 0, shown: [] };
    const h = degsim.element;
    const body = h("tbody");
    const heads = columns.map((column) => {
      const unit = column.unit ? h("span", { class: "unit" }, ` ${column.unit}`) : null;
      const button = h("button", { type: "button", on: { click: () => sortBy(column) } }, column.title, unit);
      return h("th", { scope: "col", class: isText(column) ? "" : "number" }, button);
    });
    const caption = h("caption", { class: options.quiet ? "quiet" : null }, h("span", { text: options.caption ?? "" }));
    const table = h("table", {}, caption, h("thead", {}, h("tr", {}, heads)), body);
    const field = h("input", { type: "search", placeholder: "Filter", "aria-label": `Filter: ${options.caption ?? "rows"}`,
      on: { input: () => { state.text = field.value; state.page = 0; draw(); } } });
    const said = h("span", { class: "said", role: "status" });
    const turn = (text, label, by) => h("button", { type: "button", "aria-label": label, text, on: { click: () => turned(by) } });
    const [back, on] = [turn("‹", "Page before", -1), turn("›", "Next page", 1)];
    const tools = h("div", { class: "tools" }, options.filter === false ? null : field, said, back, on);
    element.replaceChildren(tools, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": options.caption ?? "table" }, table));

    const sortBy = (column) => {
      const key = column.name ?? column.title;
      const again = state.sort && state.sort[0] === key && state.sort[1] === "ascending";
      state.sort = [key, again ? "descending" : "ascending"];
      state.page = 0;
      draw();
    };

    const chosen = () => {
      const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (row) => {
        const line = columns.map((column) => textOf(column, row)).join("\t").toLowerCase();
        return words.every((word) => line.includes(word));
      };
      const kept = words.length ? state.rows.filter(fits) : [...state.rows];
      const column = state.sort && columns.find((each) => (each.name ?? each.title) === state.sort[0]);
      if (column) {
        const order = compared(column);
        kept.sort(state.sort[1] === "descending" ? (a, b) => order(b, a) : order);
      }
      return kept;
    };

    const rowOf = (row) => {
      const cells = columns.map((column, i) => {
        const content = column.show ? column.show(valueOf(column, row), row) : textOf(column, row);
        const opens = i === 0 && options.onOpen;
        const inside = opens ? h("button", { type: "button", class: "open" }, content) : content;
        return h(i === 0 ? "th" : "td", { class: classOf(column, content, i === 0), scope: i === 0 ? "row" : null }, inside);
      });
      return h("tr", options.onOpen ? { class: "opens", on: { click: () => options.onOpen(row) } } : {}, cells);
    };

    // A button that can do no more loses the keyboard's place to the other one.
    const turned = (by) => {
      state.page += by;
      draw();
      if (by > 0 && on.disabled) back.focus();
      if (by < 0 && back.disabled) on.focus();
    };

    const draw = () => {
      state.shown = chosen();
      const pages = Math.max(1, Math.ceil(state.shown.length / size));
      state.page = Math.min(pages - 1, Math.max(0, state.page));
      const first = state.page * size;
      const part = state.shown.slice(first, first + size);
      body.replaceChildren(...part.map(rowOf));
      if (!part.length) body.append(h("tr", {}, h("td", { colspan: columns.length, class: "note", text: options.empty ?? "nothing" })));
      heads.forEach((head, i) => {
        const isSorted = state.sort && (columns[i].name ?? columns[i].title) === state.sort[0];
        if (isSorted) head.setAttribute("aria-sort", state.sort[1]);
        else head.removeAttribute("aria-sort");
      });
      const all = state.shown.length === state.rows.length ? "" : ` of ${degsim.count(state.rows.length)}`;
      const range = pages > 1 ? `, ${degsim.count(first + 1)} to ${degsim.count(first + part.length)}` : "";
      said.textContent = `${degsim.count(state.shown.length)}${all} ${state.shown.length === 1 ? "row" : "rows"}${range}`;
      back.hidden = on.hidden = pages === 1;
      back.disabled = state.page === 0;
      on.disabled = state.page === pages - 1;
      tools.hidden = options.filter === false && pages === 1;
    };

    draw();
    return { update: (others) => { state.rows = others; draw(); }, rows: () => state.shown };
  };
})();
