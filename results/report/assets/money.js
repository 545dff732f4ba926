/* Who owes whom and why: balances, contracts, and every amount down to formula, inputs and messages.
 *
 * Addresses: #money/posting:12 opens the explanation of posting 12, #money/contract:ID a contract, #money/party:ERA a party.
 * Amounts are added as exact decimals, never as floating point numbers.
 */
"use strict";

(() => {
  const h = (...all) => degsim.element(...all);

  // --- exact decimals -------------------------------------------------------------------------------------------------

  const parsed = (text) => {
    const [, sign, whole, part = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    return { units: BigInt(`${sign}${whole}${part}`), scale: part.length };
  };
  const scaled = (x, scale) => x.units * 10n ** BigInt(scale - x.scale);
  const added = (a, b) => {
    const scale = Math.max(a.scale, b.scale);
    return { units: scaled(a, scale) + scaled(b, scale), scale };
  };
  const negative = (x) => ({ units: -x.units, scale: x.scale });
  const written = (x) => {
    const digits = String(x.units < 0n ? -x.units : x.units).padStart(x.scale + 1, "0");
    const text = x.scale ? `${digits.slice(0, -x.scale)}.${digits.slice(-x.scale)}` : digits;
    return x.units < 0n ? `-${text}` : text;
  };
  const ZERO = { units: 0n, scale: 0 };
  const sum = (texts) => texts.map(parsed).reduce(added, ZERO);
  // Half to even, to so many decimals.
  const rounded = (x, scale) => {
    if (x.scale <= scale) return { units: scaled(x, scale), scale };
    const unit = 10n ** BigInt(x.scale - scale);
    const size = x.units < 0n ? -x.units : x.units;
    const [whole, rest] = [size / unit, size % unit];
    const up = 2n * rest > unit || (2n * rest === unit && whole % 2n === 1n);
    const units = whole + (up ? 1n : 0n);
    return { units: x.units < 0n ? -units : units, scale };
  };
  degsim.exact = { parsed, added, negative, written, sum, rounded };

  // --- data -----------------------------------------------------------------------------------------------------------

  const load = async () => {
    const data = await degsim.data("money");
    const column = Object.fromEntries(["interval", "contract", "term", "payer", "payee"].map((name) => [name, degsim.integers(data.postings[name] ?? 0)]));
    const postings = Array.from({ length: data.postings.count }, (_, number) => ({
      number, interval: column.interval.get(number), contract: data.contracts[column.contract.get(number)],
      term: data.terms[column.term.get(number)], payer: data.parties[column.payer.get(number)],
      payee: data.parties[column.payee.get(number)], amount: data.postings.amount[number],
    }));
    for (const contract of data.contracts) contract.owed = [];
    for (const posting of postings) posting.contract.owed.push(posting);
    return { data, postings, byId: new Map(data.contracts.map((contract) => [contract.id, contract])), scale: parsed(data.unit).scale };
  };

  // What one party receives (+) or pays by some postings, as text.
  const netOf = (known, party, postings) => {
    const total = postings.map((p) => (p.payee === party ? parsed(p.amount) : p.payer === party ? negative(parsed(p.amount)) : ZERO)).reduce(added, ZERO);
    return written(rounded(total, known.scale));
  };
  const total = (known, postings) => written(rounded(sum(postings.map((p) => p.amount)), known.scale));

  // --- one posting, taken apart ---------------------------------------------------------------------------------------

  const cycleOf = (contract, k) => {
    const { cycles } = contract;
    const pick = (column) => (Array.isArray(column) ? column[k] : column);
    const values = new Map();
    for (const [name, { unit, value, source, message }] of Object.entries(cycles.values)) {
      if (pick(value) !== null) values.set(name, { name, unit, value: pick(value), source: pick(source), message: degsim.integers(message).get(k) });
    }
    const carriers = Object.entries(cycles.carriers).map(([kind, seqs]) => [kind, degsim.integers(seqs).get(k)]).filter(([, seq]) => seq >= 0);
    const [event, proven] = [degsim.integers(cycles.event).get(k), degsim.integers(cycles.proven).get(k) === 1];
    return { interval: degsim.integers(cycles.interval).get(k), values, carriers: new Map(carriers), event, proven };
  };

  const valuesIn = (formula, names, values) => {
    const known = names.filter((name) => values.has(name)).sort((a, b) => b.length - a.length);
    if (!known.length) return formula;
    const escaped = known.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`(?<![\\w.\\]])(?:${escaped.join("|")})(?![\\w.\\[(])`, "g");
    return formula.replace(pattern, (name) => {
      const text = values.get(name).value;
      return text.startsWith("-") ? `(${text})` : text;
    });
  };

  const accountOf = (posting) => {
    for (const account of posting.contract.accounts ?? []) {
      const numbers = degsim.integers(account.number);
      for (let k = 0; k < account.count; k += 1) if (numbers.get(k) === posting.number) return { account, k };
    }
    return null;
  };

  // {term, entries: [{interval, exact, back, filled, inputs}], total, rounded, before, due, messages, events}
  const explained = (known, posting) => {
    const found = accountOf(posting);
    if (!found) return null;
    const { account, k } = found;
    const [ends, places] = [degsim.integers(account.entries), degsim.integers(account.cycle)];
    const [first, end] = [k ? ends.get(k - 1) : 0, ends.get(k)];
    const { contract } = posting;
    const [name, payerRole, payeeRole, formula, names] = contract.terms[account.term];
    const agreed = new Map(contract.inputs.map(([key, value, unit]) => [key, { name: key, value, unit, source: "agreed with the contract", message: contract.toldBy }]));
    const entries = [];
    const messages = new Map(contract.toldBy >= 0 ? [[contract.toldBy, "terms"]] : []);
    const events = new Map();
    const note = (cycle) => { if (cycle.event >= 0) events.set(cycle.event, cycle.interval); };
    for (let n = first; n < end; n += 1) {
      const cycle = cycleOf(contract, places.get(n));
      const values = new Map([...agreed, ...cycle.values]);
      const inputs = names.filter((each) => values.has(each)).map((each) => values.get(each));
      const needed = new Set(inputs.map((input) => input.message));
      const said = new Set([...cycle.values.values()].map((value) => value.source));
      for (const [kind, seq] of cycle.carriers) {
        if (!messages.has(seq) && (needed.has(seq) || kind === "curve" || (kind === "reading" && !said.has("reading")))) messages.set(seq, kind);
      }
      const back = account.back.includes(n);
      if (!back) note(cycle);
      entries.push({ interval: cycle.interval, exact: account.exact[n], back, filled: valuesIn(formula, names, values), inputs, proven: cycle.proven });
    }
    const closing = cycleOf(contract, degsim.integers(account.with).get(k));
    note(closing);
    const bill = closing.carriers.get("bill");
    if (bill !== undefined && !messages.has(bill)) messages.set(bill, "bill");
    const upTo = (count) => sum(account.exact.slice(0, count));
    const [all, before] = [upTo(end), rounded(upTo(first), known.scale)];
    const now = rounded(all, known.scale);
    return {
      name, formula, payer: { role: payerRole, era: known.data.parties[account.payer] }, payee: { role: payeeRole, era: known.data.parties[account.payee] },
      entries, total: written(all), rounded: written(now), before: written(before), due: written(added(now, negative(before))),
      messages: [...messages].sort(([a], [b]) => a - b), events: [...events].sort(([a], [b]) => a - b),
    };
  };
  degsim.explained = async (number) => {
    const known = await (whole ??= load());
    return explained(known, known.postings[number]);
  };

  // --- pieces of the page ---------------------------------------------------------------------------------------------

  const counted = (n, word) => `${degsim.count(n)} ${word}${n === 1 ? "" : "s"}`;
  const moment = (interval) => (degsim.page.moments.length ? degsim.moment(interval) : `interval ${interval}`);
  const hasMessages = () => degsim.page.sections.some((section) => section.name === "messages");
  const messageLink = (seq, leave) => {
    if (seq < 0) return null;
    if (!hasMessages()) return `message ${seq}`;
    return h("button", { type: "button", class: "open", text: `message ${seq}`, on: { click: () => { leave?.(); degsim.go("messages", String(seq)); } } });
  };
  const isNumber = (cell) => typeof cell === "string" && /^[−+-]?[\d,.]+$/.test(cell);
  const plainTable = (caption, heads, rows) =>
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      h("table", {}, h("caption", {}, h("span", { text: caption })), h("thead", {}, h("tr", {}, heads.map((head, k) => h("th", { scope: "col", class: k && isNumber(rows[0]?.[k]) ? "plain number" : "plain", text: head })))),
        h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, k) => h("td", { class: k && isNumber(cell) ? "number" : "" }, cell)))))));

  const SHOWN = 12; // intervals of one posting that are written out

  const explanationOf = (known, posting, leave) => {
    const found = explained(known, posting);
    const { currency } = known.data;
    const to = `${moment(posting.interval)} (interval ${posting.interval})`;
    const heading = h("p", {}, h("strong", { text: `${posting.payer} pays ${posting.payee} ${posting.amount} ${currency}` }), ` for ${posting.term}, ${to}.`);
    const contract = h("p", {}, "Contract ", h("button", { type: "button", class: "open", text: posting.contract.id, on: { click: () => { leave(); degsim.go("money", `contract:${posting.contract.id}`); } } }), ` (${posting.contract.template}), ${posting.contract.status}.`);
    if (!found) return [heading, contract, h("p", { class: "note", text: `Not computed again: ${posting.contract.why}.` })];
    const skipped = Math.max(0, found.entries.length - SHOWN);
    const entries = found.entries.slice(skipped).map((entry) => h("section", { class: "entry" },
      h("h4", { text: `Interval ${entry.interval}, ${moment(entry.interval)}${entry.back ? ": taken back, because it was computed anew" : ""}` }),
      h("p", { class: "formula" }, `${entry.back ? "−(" : ""}${entry.filled}${entry.back ? ")" : ""} = `, h("strong", { text: `${entry.exact} ${currency}` })),
      plainTable(`Inputs of interval ${entry.interval}`, ["input", "value", "unit", "from", "carried by"],
        entry.inputs.map((input) => [input.name, input.value, input.unit, input.source, messageLink(input.message, leave) ?? ""])),
      entry.proven ? h("p", { class: "said", text: "✓ These are the inputs whose hash the signed event of this interval has." }) : null));
    const flips = found.due.startsWith("-");
    return [
      heading, contract,
      h("h4", { text: "Term" }),
      h("p", { class: "formula", text: `${found.payer.era} (${found.payer.role}) pays ${found.payee.era} (${found.payee.role}): ${found.formula}` }),
      skipped ? h("p", { class: "note", text: `${skipped} earlier intervals that were not posted before are left out here; degsim explain RUN ${posting.number} --all writes them out.` }) : null,
      ...entries,
      h("h4", { text: "Rounding" }),
      plainTable("From the exact sum to the posting", ["", currency], [
        ["exact sum of this account so far", found.total], [`in units of ${known.data.unit}, half to even`, found.rounded],
        ["posted before", found.before], ["left to post", found.due],
      ]),
      flips ? h("p", { text: `Less than nothing flows the other way: ${found.payee.era} pays ${found.payer.era}.` }) : null,
      h("h4", { text: "Messages and events" }),
      h("ul", { class: "carriers" }, found.messages.map(([seq, kind]) => h("li", {}, messageLink(seq, leave), ` ${known.data.carried[kind]}`))),
      h("p", { class: "said", text: found.events.length ? `Signed events SETTLEMENT_COMPUTED: ${found.events.map(([event, interval]) => `number ${event} (interval ${interval})`).slice(-SHOWN).join(", ")}.` : "No event tells of it." }),
    ];
  };

  const buildDialog = (known) => {
    const body = h("div");
    const dialog = h("dialog", { class: "money-dialog", "aria-labelledby": "posting-title" }, body);
    const close = () => dialog.close();
    const show = (number, pressed = "") => {
      const posting = known.postings[number];
      const step = (by, text, label) => h("button", { type: "button", text, "aria-label": label, disabled: known.postings[number + by] ? null : "", on: { click: () => show(number + by, label) } });
      body.replaceChildren(
        h("div", { class: "tools" }, step(-1, "‹", "Posting before"), step(1, "›", "Next posting"), h("button", { type: "button", class: "close", text: "Close", on: { click: close } })),
        h("h3", { id: "posting-title", text: `Posting ${number}` }),
        ...explanationOf(known, posting, close).filter(Boolean));
      if (!dialog.open) dialog.showModal();
      // Whoever steps goes on stepping.
      (body.querySelector(`.tools [aria-label="${pressed}"]:enabled`) ?? body.querySelector(".close")).focus();
    };
    dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
    return { dialog, show };
  };

  const postingColumns = (known, party) => [
    { name: "number", title: "Posting", kind: "number", digits: 0 },
    { name: "interval", title: "Interval", kind: "count" },
    { title: "Start", value: (p) => moment(p.interval) },
    { name: "payer", title: "Payer" }, { name: "payee", title: "Payee" },
    { title: party ? `Received by ${party}` : "Amount", unit: known.data.currency, kind: "decimal", value: (p) => (party && p.payer === party ? `-${p.amount}` : p.amount) },
  ];

  // A term that folds its postings away until somebody opens it.
  const termDetails = (known, title, postings, party, open) => {
    const holder = h("div");
    const amount = party ? netOf(known, party, postings) : total(known, postings);
    const details = h("details", { class: "term" },
      h("summary", {}, h("span", { text: title }), h("span", { class: "amount", text: `${degsim.decimal(amount)} ${known.data.currency}` }), h("span", { class: "said", text: counted(postings.length, "posting") })), holder);
    details.addEventListener("toggle", () => {
      if (!details.open || holder.childElementCount) return;
      degsim.table(holder, postingColumns(known, party), postings, { caption: `${title}: Enter on a number explains a posting`, onOpen: (p) => open(p.number), page: 25 });
    });
    return details;
  };

  const grouped = (postings, key) => {
    const found = new Map();
    for (const posting of postings) found.set(key(posting), [...(found.get(key(posting)) ?? []), posting]);
    return [...found];
  };

  const contractDetail = (known, contract, open) => {
    const terms = grouped(contract.owed, (p) => `${p.term}: ${p.payer} pays ${p.payee}`);
    return [
      h("p", {}, `${contract.template}, ${contract.status}. `, contract.toldBy >= 0 ? h("span", {}, "Its terms were told by ", messageLink(contract.toldBy), ". ") : "Nobody had to apply for it, so its terms travelled in no message. ",
        hasMessages() ? degsim.link("All messages about it", "messages", `contract:${contract.id}`) : null),
      contract.why ? h("p", { class: "note", text: `Its amounts are not computed again: ${contract.why}.` }) : null,
      h("div", { class: "columns" },
        h("div", {}, plainTable("Roles", ["role", "filled by"], Object.entries(contract.roles).map(([role, era]) => [role, h("button", { type: "button", class: "open", text: era, on: { click: () => degsim.go("money", `party:${era}`) } })]))),
        contract.inputs.length ? h("div", {}, plainTable("Agreed inputs", ["input", "value", "unit"], contract.inputs)) : null),
      contract.terms.length ? plainTable("Terms", ["term", "payer", "payee", "formula"], contract.terms.map(([name, from, to, formula]) => [name, from, to, h("code", { text: formula })])) : null,
      h("h4", { text: "What became of it" }),
      plainTable(`Signed events; besides, ${degsim.count(contract.computed)} times SETTLEMENT_COMPUTED`, ["number", "event", "time", "by", "says"], contract.events.map(([id, type, time, by, says]) => [id, type, time.replace("T", " ").slice(0, 19), by, says])),
      h("h4", { text: `Amounts (${counted(contract.owed.length, "posting")})` }),
      ...(terms.length ? terms.map(([title, postings]) => termDetails(known, title, postings, "", open)) : [h("p", { class: "muted", text: "Nothing was posted." })]),
    ];
  };

  const MANY = 12; // contracts of one party that are written out

  const partyDetail = (known, party, open) => {
    const mine = known.postings.filter((p) => p.payer === party || p.payee === party);
    const contracts = known.data.contracts.filter((contract) => Object.values(contract.roles).includes(party) || contract.owed.some((p) => p.payer === party || p.payee === party));
    const ownOf = (contract) => contract.owed.filter((p) => p.payer === party || p.payee === party);
    const rolesIn = (contract) => Object.entries(contract.roles).filter(([, era]) => era === party).map(([role]) => role).join(", ") || "no role";
    const listed = () => {
      const box = h("div");
      degsim.table(box, [
        { name: "id", title: "Contract", show: (id) => id.slice(0, 8) }, { name: "template", title: "Template" }, { name: "roles", title: "Role" },
        { name: "count", title: "Postings", kind: "count" }, { name: "net", title: "Net, + received", unit: known.data.currency, kind: "decimal" },
      ], contracts.map((contract) => ({ id: contract.id, template: contract.template, roles: rolesIn(contract), count: ownOf(contract).length, net: netOf(known, party, ownOf(contract)) })),
      { caption: `Contracts of ${party}; Enter on an id shows its terms, events and amounts`, onOpen: (row) => degsim.go("money", `contract:${row.id}`), page: 15 });
      return [...grouped(mine, (p) => p.term).map(([term, postings]) => termDetails(known, term, postings, party, open)), box];
    };
    const parts = contracts.length > MANY ? listed() : contracts.flatMap((contract) => {
      const own = ownOf(contract);
      return [
        h("h4", {}, h("button", { type: "button", class: "open", text: contract.id, on: { click: () => degsim.go("money", `contract:${contract.id}`) } }),
          ` ${contract.template}, as ${rolesIn(contract)}: ${degsim.decimal(netOf(known, party, own))} ${known.data.currency}`),
        ...grouped(own, (p) => `${p.term} with ${p.payer === party ? p.payee : p.payer}`).map(([title, postings]) => termDetails(known, title, postings, party, open)),
      ];
    });
    return [h("p", {}, "Net ", h("strong", { class: "net", text: `${degsim.decimal(netOf(known, party, mine))} ${known.data.currency}` }), ` of ${counted(mine.length, "posting")} under ${counted(contracts.length, "contract")}; + is received.`), ...parts];
  };

  // --- the section ----------------------------------------------------------------------------------------------------

  let whole = null;

  degsim.section("money", async (element) => {
    const known = await (whole ??= load());
    const { data } = known;
    const dialog = buildDialog(known);
    const [balances, contracts, body] = [h("div"), h("div"), h("div", { class: "money-detail" })];
    const title = h("h3", { tabindex: -1, text: "Contract or party" });
    const field = h("input", { type: "number", min: 0, max: known.postings.length - 1, id: "posting-number" });
    const form = h("form", { class: "tools", on: { submit: (event) => { event.preventDefault(); if (field.value !== "") degsim.go("money", `posting:${field.value}`); } } },
      h("label", { for: "posting-number", text: "Explain posting number" }), field, h("button", { text: "Explain" }));
    element.append(h("div", {},
      h("p", {}, "Who owes whom, and how each amount came about. The balances of all parties sum to ", h("strong", { class: "sum", text: `${degsim.decimal(data.balances.sum)} ${data.currency}` }), "."),
      known.postings.length ? form : null, balances, h("h3", { text: "Contracts" }), contracts, title, body, dialog.dialog));
    degsim.table(balances, [
      { name: "party", title: "Party" }, { name: "kind", title: "Kind" },
      { name: "paid", title: "Paid", unit: data.currency, kind: "decimal" }, { name: "received", title: "Received", unit: data.currency, kind: "decimal" },
      { name: "net", title: "Net, + received", unit: data.currency, kind: "decimal" },
    ], data.balances.rows, { caption: "Balances of the parties; Enter on a name shows its contracts", onOpen: (row) => degsim.go("money", `party:${row.party}`), page: 15, empty: "nothing was posted" });
    degsim.table(contracts, [
      { name: "id", title: "Contract", show: (id) => id.slice(0, 8) }, { name: "template", title: "Template" }, { name: "status", title: "Status" },
      { title: "Parties", value: (c) => [...new Set(Object.values(c.roles))].join(", ") },
      { name: "count", title: "Postings", kind: "count" },
      { title: "Turnover", unit: data.currency, kind: "decimal", value: (c) => (c.turnover ??= total(known, c.owed)) },
    ], data.contracts, { caption: "Contracts; Enter on an id shows its terms, events and amounts", onOpen: (row) => degsim.go("money", `contract:${row.id}`), page: 15 });
    const detail = (name, parts) => {
      title.textContent = name;
      body.replaceChildren(...parts.filter(Boolean));
      title.focus({ preventScroll: true });
      title.scrollIntoView();
    };
    body.append(h("p", { class: "muted", text: "Choose a party or a contract above." }));
    degsim.leaveTo(dialog.dialog, field);

    return (wanted) => {
      const [kind, ...rest] = wanted.split(":");
      const name = rest.join(":");
      if (kind === "posting" && known.postings[Number(name)]) dialog.show(Number(name));
      else if (kind === "contract" && known.byId.has(name)) detail(`Contract ${name}`, contractDetail(known, known.byId.get(name), dialog.show));
      else if (kind === "party" && data.parties.includes(name)) detail(name, partyDetail(known, name, dialog.show));
      else detail("Contract or party", [h("p", { class: "note", role: "alert", text: `This run has no ${["posting", "contract", "party"].includes(kind) ? `${kind} ${name}` : wanted}.` })]);
    };
  });
})();
