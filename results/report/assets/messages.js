/* Every message: a list with filters, each message's JSON in a dialog, and the sequence of a transaction as a picture.
 *
 * Addresses: #messages/12 opens message 12 of the journal, #messages/contract:ID lists those of a contract,
 * #messages/transaction:ID draws the sequence of a transaction.
 */
"use strict";

(() => {
  const h = (...all) => degsim.element(...all);
  const ROW = 30; // height of a row, px; as in messages.css
  const AROUND = 20; // rows beyond the edge that are there already

  const PATHS = {
    seq: ["seq"], t: ["t"], action: ["action"], ack: ["ack"], code: ["error", "errorCode"], why: ["error", "errorMessage"],
    caller: ["body", "context", "bapId"], answerer: ["body", "context", "bppId"],
    transaction: ["body", "context", "transactionId"], message: ["body", "context", "messageId"],
    above: ["body", "context", "lineage", "transactionId"], contract: ["body", "message", "contract", "id"],
    failure: ["body", "error", "errorCode"], signature: ["signature"],
  };
  const UNKNOWN = "?";

  const load = async () => {
    const [archive, about] = await Promise.all([degsim.archive(), degsim.data("messages")]);
    archive.columns(Object.values(PATHS));
    const column = Object.fromEntries(Object.entries(PATHS).map(([name, path]) => [name, archive.column(path)]));
    const isCallback = (action) => action.split("/").pop().startsWith("on_");
    const rows = [];
    for (let i = 0; i < archive.count; i += 1) {
      const action = column.action(i);
      const [caller, answerer] = [column.caller(i) ?? UNKNOWN, column.answerer(i) ?? UNKNOWN];
      const [sender, receiver] = isCallback(action) ? [answerer, caller] : [caller, answerer];
      rows.push({ i, seq: Number(column.seq(i)), t: Number(column.t(i)), action, sender, receiver, ack: column.ack(i), code: column.code(i) ?? column.failure(i) });
    }
    return { archive, about, column, rows, bySeq: new Map(rows.map((row) => [row.seq, row])), isCallback };
  };

  // --- time -----------------------------------------------------------------------------------------------------------

  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

  const clock = (intervalS) => {
    const moments = degsim.page.moments.map((moment) => Date.parse(`${moment.slice(0, 19)}Z`));
    const local = (t) => {
      // The clock on the wall changes between intervals, never within one.
      const k = Math.min(moments.length - 1, Math.max(0, Math.floor(t / intervalS)));
      return new Date(moments[k] + 1000 * (t - k * intervalS)).toISOString().slice(0, 19);
    };
    const manyDays = moments.length && new Date(moments[0]).toISOString().slice(0, 10) !== local(moments.length * intervalS - 1).slice(0, 10);
    const short = (t) => {
      const text = local(t);
      const day = manyDays ? `${DAYS[new Date(`${text}Z`).getUTCDay()]} ` : "";
      return day + text.slice(11);
    };
    return { local, short };
  };

  // --- filters --------------------------------------------------------------------------------------------------------

  const buildFilters = (said, time, changed) => {
    const state = { participant: "", action: "", verdict: "", from: "", to: "", text: "" };
    const set = (name) => (event) => { state[name] = event.target.value.trim(); changed(); };
    const unique = (values) => [...new Set(values)].sort(new Intl.Collator("en", { numeric: true }).compare);
    const names = unique(said.rows.flatMap((row) => [row.sender, row.receiver]));
    const choice = (name, label, options) =>
      h("label", {}, h("span", { text: label }), h("select", { name, on: { change: set(name) } }, options.map(([value, text]) => h("option", { value, text }))));
    const participant = h("input", { type: "search", name: "participant", list: "messages-participants", autocomplete: "off", placeholder: "anybody", on: { input: set("participant") } });
    const moment = (name, label) =>
      h("label", {}, h("span", { text: label }), h("input", { type: "datetime-local", name, min: time.local(said.rows[0].t).slice(0, 16), value: "", on: { input: set(name) } }));
    const form = h("form", { class: "message-filters", "aria-label": "Filters", on: { submit: (event) => event.preventDefault() } },
      h("label", {}, h("span", { text: "Participant" }), participant),
      h("datalist", { id: "messages-participants" }, names.map((name) => h("option", { value: name }))),
      choice("action", "Action", [["", "any"], ...unique(said.rows.map((row) => row.action)).map((action) => [action, action])]),
      choice("verdict", "Verdict", [["", "any"], ["ACK", "ACK"], ["NACK", "NACK"]]),
      moment("from", "From"), moment("to", "Before"),
      h("label", {}, h("span", { text: "Id of a transaction, message, contract" }),
        h("input", { type: "search", name: "text", autocomplete: "off", spellcheck: "false", placeholder: "part of an id", on: { input: set("text") } })),
      h("button", { type: "button", text: "Clear", on: { click: () => choose({}) } }));
    const choose = (wanted) => {
      for (const name of Object.keys(state)) {
        state[name] = wanted[name] ?? "";
        form.elements[name].value = state[name];
      }
      changed();
    };
    const fits = () => {
      const isKnown = names.includes(state.participant);
      const words = state.participant.toLowerCase();
      const who = (name) => (isKnown ? name === state.participant : name.toLowerCase().includes(words));
      const text = state.text.toLowerCase();
      const ids = [said.column.transaction, said.column.message, said.column.contract];
      return (row) =>
        (!words || who(row.sender) || who(row.receiver)) &&
        (!state.action || row.action === state.action) &&
        (!state.verdict || row.ack === state.verdict) &&
        (!state.from || time.local(row.t) >= state.from) &&
        (!state.to || time.local(row.t) < state.to) &&
        (!text || ids.some((id) => id(row.i)?.includes(text)));
    };
    return { form, choose, fits };
  };

  // --- the list -------------------------------------------------------------------------------------------------------

  // Rows as they scroll by: a listbox, of which only what can be seen is there.
  const buildList = (time, open) => {
    let rows = [];
    let active = 0;
    const filler = h("div", { class: "message-filler" });
    const list = h("div", { class: "message-list", role: "listbox", tabindex: 0, "aria-label": "Messages; Enter opens one" }, filler);
    const line = (row, k) => {
      const refused = row.ack !== "ACK";
      return h("div", {
        role: "option", id: `message-row-${k}`, class: `message-row${refused ? " refused" : ""}`, style: `top:${k * ROW}px`,
        "aria-selected": String(k === active), "aria-setsize": rows.length, "aria-posinset": k + 1,
        on: { click: () => { move(k); open(row, rows); } },
      },
      h("span", { class: "seq", text: row.seq }), h("span", { class: "time", text: time.short(row.t) }),
      h("span", { class: "who", text: `${row.sender} → ${row.receiver}` }), h("span", { class: "action", text: row.action }),
      h("span", { class: "verdict-of", text: refused ? `NACK ${row.code ?? ""}` : row.code ? `ACK, ${row.code}` : "ACK" }));
    };
    const draw = () => {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - AROUND);
      const last = Math.min(rows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + AROUND);
      filler.style.height = `${rows.length * ROW}px`;
      filler.replaceChildren(...rows.slice(first, last).map((row, k) => line(row, first + k)));
      if (rows.length) list.setAttribute("aria-activedescendant", `message-row-${active}`);
      else list.removeAttribute("aria-activedescendant");
    };
    const move = (k) => {
      active = Math.min(rows.length - 1, Math.max(0, k));
      const [top, bottom] = [active * ROW, (active + 1) * ROW];
      if (top < list.scrollTop) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
      draw();
    };
    const page = () => Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const keys = {
      ArrowDown: () => move(active + 1), ArrowUp: () => move(active - 1), PageDown: () => move(active + page()),
      PageUp: () => move(active - page()), Home: () => move(0), End: () => move(rows.length - 1),
      Enter: () => rows[active] && open(rows[active], rows), " ": () => rows[active] && open(rows[active], rows),
    };
    list.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
    new ResizeObserver(draw).observe(list);
    return { list, show: (others) => { rows = others; active = 0; list.scrollTop = 0; draw(); }, move: (row) => move(rows.indexOf(row)) };
  };

  // --- one message ----------------------------------------------------------------------------------------------------

  const signatureOf = (said, row) => {
    if (!said.about.signed) return "not signed: this scenario does not sign";
    if (row.ack !== "ACK") return "not checked: the message was refused";
    const why = said.about.failed[row.seq];
    if (why) return `FAILED: ${why}`;
    return said.about.unchecked.includes(row.seq) ? "verified now; let in unchecked when it came" : "verified";
  };

  const buildDialog = (said, time, sequence) => {
    const body = h("div");
    const dialog = h("dialog", { class: "message-dialog", "aria-labelledby": "message-title" }, body);
    const close = () => dialog.close();
    let order = [];

    const related = (row) => {
      const message = said.column.message(row.i);
      if (!message) return [];
      return said.rows.filter((other) => other !== row && said.column.message(other.i) === message);
    };
    const fact = (name, ...what) => h("div", {}, h("dt", { text: name }), h("dd", {}, ...what));
    const go = (text, act) => h("button", { type: "button", class: "open", text, on: { click: act } });

    const facts = (row) => {
      const [transaction, message, contract, above] = ["transaction", "message", "contract", "above"].map((name) => said.column[name](row.i));
      const others = related(row);
      const verdict = row.ack === "ACK" ? "ACK" : `${row.ack}: ${[row.code, said.column.why(row.i)].filter(Boolean).join(", ")}`;
      const leave = (...where) => { close(); degsim.go(...where); };
      return h("dl", { class: "message-facts" },
        fact("Time", `${time.local(row.t).replace("T", " ")} (${row.t} s of the run)`),
        fact("Verdict", verdict),
        row.ack === "ACK" && row.code ? fact("Reports", row.code) : null,
        fact("Signature", signatureOf(said, row)),
        transaction ? fact("Transaction", `${transaction} `, go("its sequence", () => { close(); sequence(transaction); })) : null,
        above ? fact("Descends from", `${above} `, go("its sequence", () => { close(); sequence(above); })) : null,
        message ? fact("Message id", message) : null,
        others.length ? fact(said.isCallback(row.action) ? "Answers" : "Answered by", ...others.map((other) => go(`${other.seq} ${other.action} `, () => show(other)))) : null,
        contract ? fact("Contract", `${contract} `, go("its messages", () => { close(); degsim.go("messages", `contract:${contract}`); }),
          degsim.page.sections.some((section) => section.name === "money") ? h("span", {}, " ", go("its money", () => leave("money", `contract:${contract}`))) : null) : null);
    };

    const show = (row, pressed = "") => {
      const text = said.archive.pretty(row.i);
      const pre = h("pre", { tabindex: 0, "aria-label": "JSON of the message", text });
      const told = h("span", { class: "said", role: "status" });
      const copy = async () => {
        try {
          await navigator.clipboard.writeText(text);
          told.textContent = "copied";
        } catch {
          getSelection().selectAllChildren(pre);
          told.textContent = "selected; copy it with Ctrl+C";
        }
      };
      const place = order.indexOf(row);
      const step = (by, words, label) => {
        const other = order[place + by];
        return h("button", { type: "button", text: words, "aria-label": label, disabled: other ? null : "", on: { click: () => show(other, label) } });
      };
      body.replaceChildren(
        h("div", { class: "tools" }, step(-1, "‹", "Message before in the list"), step(1, "›", "Next message in the list"),
          h("button", { type: "button", text: "Copy the JSON", on: { click: copy } }), told,
          h("button", { type: "button", class: "close", text: "Close", on: { click: close } })),
        h("h3", { id: "message-title", text: `Message ${row.seq}: ${row.sender} → ${row.receiver}, ${row.action}` }),
        facts(row), pre);
      if (!dialog.open) dialog.showModal();
      // Whoever steps goes on stepping.
      (body.querySelector(`.tools [aria-label="${pressed}"]:enabled`) ?? body.querySelector(".close")).focus();
    };
    dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
    return { dialog, open: (row, rows) => { order = rows; show(row); } };
  };

  // --- a sequence -----------------------------------------------------------------------------------------------------

  // The few values that tell a message from others; the same choice as `degsim sequence` makes.
  const labelOf = (fields, action, content) => {
    const found = new Map();
    const children = (value) => (value !== null && typeof value === "object" ? Object.entries(value) : []);
    const matches = (value, path, place) => {
      if (!path.length) {
        if (value === null || typeof value !== "object") { if (value !== null) found.set(place.join("."), value); }
        return;
      }
      const [head, ...rest] = path;
      const inside = children(value);
      for (const [name, below] of inside) {
        if (head === "*" || head === name || (head === "?" && inside.length === 1)) matches(below, rest, [...place, name]);
      }
    };
    const bags = (value, place) => {
      const kind = value !== null && typeof value === "object" && !Array.isArray(value) ? value["@type"] : undefined;
      if (typeof kind === "string" && Object.hasOwn(fields.bags, kind)) for (const path of fields.bags[kind]) matches(value, path.split("."), place);
      for (const [name, below] of children(value)) bags(below, [...place, name]);
    };
    const named = Object.hasOwn(fields.actions, action) ? fields.actions[action] : [];
    for (const path of named) matches(content, path.split("."), []);
    bags(content, []);
    if (fields.making.includes(action)) for (const path of fields.committed) matches(content, path.split("."), []);
    if (!found.size) matches(content, fields.state.split("."), []);
    const plain = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));
    const general = new Set(["id", "value", "code", "name", "status"]);
    const said = [...found].map(([path, value]) => {
      const name = path.split(".").filter((part) => !/^\d+$/.test(part)).pop();
      return typeof value === "string" || general.has(name) ? plain(value) : `${name} ${plain(value)}`;
    });
    return [...new Set(said)].slice(0, 3).join(", ");
  };

  // What comes again in the same shape becomes one turn of a loop: [{rows: [row, ...], times}], a row for each turn of an arrow.
  const folded = (rows) => {
    const mark = rows.map((row) => `${row.sender}\n${row.receiver}\n${row.action}\n${row.ack}`);
    const items = [];
    const repeats = (at, size) => {
      let times = 1;
      const same = (a, b) => { for (let k = 0; k < size; k += 1) if (mark[a + k] !== mark[b + k]) return false; return true; };
      while (at + (times + 1) * size <= rows.length && same(at, at + times * size)) times += 1;
      return times;
    };
    for (let at = 0; at < rows.length;) {
      let best = { size: 1, times: 1 };
      for (let size = 1; size <= 12 && at + 2 * size <= rows.length; size += 1) {
        const times = repeats(at, size);
        if (times > 1 && (times - 1) * size > (best.times - 1) * best.size) best = { size, times };
      }
      if ((best.times - 1) * best.size < 2) best = { size: 1, times: 1 };
      const turns = Array.from({ length: best.size }, (_, k) => Array.from({ length: best.times }, (__, n) => rows[at + n * best.size + k]));
      items.push({ arrows: turns, times: best.times });
      at += best.size * best.times;
    }
    return items;
  };

  // Where the first lane stands, with times before it, and how far the lanes are apart: closer on a phone.
  const spacing = () => (innerWidth < 640 ? [115, 120] : [150, 170]);
  const STEP = 40;
  const MOST = 250; // arrows of one picture

  const drawSequence = (said, time, rows, open) => {
    const svg = degsim.svg;
    const [LEFT, LANE] = spacing();
    const items = folded(rows);
    const lanes = [...new Set(rows.flatMap((row) => [row.sender, row.receiver]))];
    const at = (name) => LEFT + LANE * lanes.indexOf(name);
    const cut = (text, width) => (text.length > width ? `${text.slice(0, width - 1)}…` : text);
    const [loops, parts] = [[], []];
    let y = 70;
    let drawn = 0;
    const arrow = (turns) => {
      const row = turns[0];
      const [x, to] = [at(row.sender), at(row.receiver)];
      const refused = row.ack !== "ACK";
      const many = turns.length > 1 ? ` ×${turns.length}` : "";
      const content = said.archive.read(row.i).body?.message ?? {};
      const label = turns.length > 1 ? "" : labelOf(said.about.fields, row.action, content);
      const middle = x === to ? x + 45 : (x + to) / 2;
      const path = x === to ? `M${x},${y} h36 v12 h-28` : `M${x},${y} H${to - Math.sign(to - x) * 3}`;
      const span = turns.length > 1 ? `, from ${time.short(row.t)} to ${time.short(turns.at(-1).t)}` : "";
      const press = () => open(row, turns.length > 1 ? turns : rows);
      parts.push(svg("g", {
        class: `arrow${refused ? " refused" : ""}`, tabindex: 0, role: "button",
        "aria-label": `message ${row.seq}, ${time.short(row.t)}, ${row.sender} to ${row.receiver}, ${row.action}${many}${span}${refused ? `, refused ${row.code ?? ""}` : ""}`,
        on: { click: press, keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); } } },
      },
      svg("rect", { x: Math.min(x, to) - 4, y: y - 24, width: Math.max(60, Math.abs(to - x)) + 8, height: 36, class: "hit" }),
      svg("path", { d: path, "marker-end": "url(#message-head)", class: said.isCallback(row.action) ? "callback" : "request" }),
      svg("text", { x: middle, y: y - 8, "text-anchor": x === to ? "start" : "middle" }, cut(`${row.action}${many}${refused ? ` ✗ ${row.code ?? ""}` : ""}`, Math.max(22, Math.abs(to - x) / 7))),
      svg("text", { x: middle, y: y + 13, "text-anchor": x === to ? "start" : "middle", class: "small" }, cut(label, Math.max(26, Math.abs(to - x) / 6)))));
      parts.push(svg("text", { x: 4, y: y + 4, class: "small" }, time.short(row.t)));
      y += STEP;
      drawn += 1;
    };
    let left = 0;
    for (const item of items) {
      if (drawn + item.arrows.length > MOST) {
        left += item.times * item.arrows.length;
        continue;
      }
      const top = y - 22;
      if (item.times > 1) y += 20;
      for (const turns of item.arrows) arrow(turns);
      if (item.times > 1) {
        const [first, next] = item.arrows[0];
        const width = LANE * (lanes.length - 1) + 140;
        loops.push(svg("rect", { x: LEFT - 60, y: top, width, height: y - top - 14, class: "loop" }));
        parts.push(svg("text", { x: LEFT - 54, y: top + 13, class: "small" }, `${item.times} times, from ${time.short(first.t)}, then ${time.short(next.t)} …`));
        y += 12;
      }
    }
    const width = LEFT + LANE * (lanes.length - 1) + 110;
    const heads = lanes.flatMap((name) => [
      svg("line", { x1: at(name), x2: at(name), y1: 36, y2: y, class: "lane" }),
      svg("text", { x: at(name), y: 24, "text-anchor": "middle", class: "head" }, svg("title", {}, name), cut(name, 22)),
    ]);
    const picture = svg("svg", { width, height: y + 10, viewBox: `0 0 ${width} ${y + 10}`, role: "group", "aria-label": `${rows.length} messages between ${lanes.join(", ")}` },
      svg("defs", {}, svg("marker", { id: "message-head", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse" }, svg("path", { d: "M0,0 L8,4 L0,8 z", class: "tip-of" }))),
      ...loops, ...heads, ...parts);
    return { picture, left };
  };

  // A transaction and the legs that descend from it; a leg follows what it descends from.
  const familyOf = (said, transaction) => {
    const family = new Set([transaction]);
    return said.rows.filter((row) => {
      const own = said.column.transaction(row.i);
      if (family.has(own)) return true;
      const above = said.column.above(row.i);
      if (above === null || !family.has(above)) return false;
      family.add(own);
      return true;
    });
  };

  // --- the section ----------------------------------------------------------------------------------------------------

  degsim.section("messages", async (element) => {
    const said = await load();
    const time = clock(said.about.intervalS);
    const status = h("p", { class: "said", role: "status" });
    const region = h("div", { class: "sequence", tabindex: 0, role: "region", "aria-label": "Sequence of a transaction", hidden: true });
    const title = h("h3", { id: "sequence-title", tabindex: -1, text: "Sequence of a transaction" });
    const hint = h("p", { class: "muted", text: "Open a message and choose “its sequence”, or draw what is listed." });

    let shown = [];
    const draw = (rows, name) => {
      const { picture, left } = drawSequence(said, time, rows, dialog.open);
      title.textContent = name;
      hint.textContent = `${degsim.count(rows.length)} ${rows.length === 1 ? "message" : "messages"}${left ? `; ${degsim.count(left)} later ones are not drawn` : ""}. What repeats is drawn once, with its number; a click or Enter on an arrow opens its message.`;
      region.replaceChildren(picture);
      region.hidden = false;
      title.focus({ preventScroll: true });
      title.scrollIntoView();
    };
    const sequence = (transaction) => {
      const rows = familyOf(said, transaction);
      if (rows.length) draw(rows, `Sequence of transaction ${transaction}`);
      else status.textContent = `No message of this page belongs to a transaction ${transaction}.`;
    };
    const dialog = buildDialog(said, time, (transaction) => degsim.go("messages", `transaction:${transaction}`));
    const list = buildList(time, dialog.open);
    degsim.leaveTo(dialog.dialog, list.list);
    const changed = () => {
      shown = said.rows.filter(filters.fits());
      status.textContent = `${degsim.count(shown.length)} of ${degsim.count(said.rows.length)} messages`;
      list.show(shown);
    };
    const filters = buildFilters(said, time, changed);
    element.append(h("div", {},
      h("p", { text: "Everything that anybody said to anybody, as it came to its recipient. Enter or a click opens a message as JSON." }),
      said.about.left ? h("p", { class: "note", role: "note" }, `This page carries the first ${degsim.count(said.about.count)} messages; ${degsim.count(said.about.left)} more are in the journal: `,
        h("code", { text: "degsim sequence RUN --from TIME" }), " shows them.") : null,
      filters.form, status, list.list,
      h("div", { class: "tools" }, h("button", { type: "button", text: "Draw the sequence of what is listed", on: { click: () => draw(shown, "Sequence of what is listed") } })),
      title, hint, region, dialog.dialog));
    changed();

    return (detail) => {
      const [kind, ...rest] = detail.split(":");
      const id = rest.join(":");
      if (kind === "contract") filters.choose({ text: id });
      else if (kind === "transaction") sequence(id);
      else if (said.bySeq.has(Number(detail))) {
        const row = said.bySeq.get(Number(detail));
        if (!shown.includes(row)) filters.choose({});
        list.move(row);
        dialog.open(row, shown);
      } else status.textContent = `Message ${detail} is not among those that this page carries.`;
    };
  });
})();
