/* What the run came to: tiles with links, numbers in tables, and what it was made of. */
"use strict";

(() => {
  const h = (...all) => degsim.element(...all);
  const known = (name) => degsim.page.sections.some((section) => section.name === name);

  const tiles = (rows) => h("ul", { class: "tiles" }, rows.map((tile) => h("li", {},
    h("h3", {}, known(tile.section) ? degsim.link(tile.title, tile.section) : tile.title),
    h("strong", { text: tile.value }), tile.unit ? ` ${tile.unit}` : "", h("p", { text: tile.says }))));

  const tableIn = (parent, title, columns, rows, options = {}) => {
    if (!rows.length) return;
    const box = h("div");
    parent.append(h("div", {}, h("h3", { text: title }), box));
    degsim.table(box, columns, rows, { caption: title, quiet: true, filter: rows.length > 12, ...options });
  };

  const money = (currency) => [
    { name: "node", title: "Node" },
    ...[["lowest", "Lowest"], ["mean", "Mean"], ["highest", "Highest"]].map(([name, title]) =>
      ({ name, title, unit: `${currency}/kWh`, kind: "number", digits: 4 })),
    ...[["adder_lowest", "Lowest adder"], ["adder_highest", "Highest adder"]].map(([name, title]) =>
      ({ name, title, unit: `${currency}/kWh`, kind: "signed", digits: 4 })),
  ];

  const flows = [
    { name: "node", title: "Transformer" },
    { name: "loading_max", title: "Peak loading", kind: "percent" },
    { name: "peak_import_kw", title: "Peak import", unit: "kW", kind: "number" },
    { name: "rated_import_kw", title: "Import limit", unit: "kW", kind: "number" },
    { name: "peak_export_kw", title: "Peak export", unit: "kW", kind: "number" },
    { name: "rated_export_kw", title: "Export limit", unit: "kW", kind: "number" },
    { name: "over_import_min", title: "Over, import", unit: "min", kind: "count" },
    { name: "over_export_min", title: "Over, export", unit: "min", kind: "count" },
    { name: "binding_forward", title: "Import limit held", unit: "intervals", kind: "count" },
    { name: "binding_reverse", title: "Export limit held", unit: "intervals", kind: "count" },
    { name: "market_gap_kw", title: "Market to wires", unit: "kW", kind: "number" },
  ];

  const better = { less: "less is better", more: "more is better", "": "–" };
  // A number in as many digits as it takes to tell it: shares need more than energies.
  const value = (x) => {
    if (x === null) return "–";
    if (Number.isInteger(x)) return degsim.count(x);
    const size = Math.abs(x);
    return degsim.number(x, size >= 1000 ? 1 : size >= 1 ? 3 : size >= 1e-4 ? 5 : 9);
  };
  const metrics = [
    { name: 0, title: "Metric" }, { name: 2, title: "Value", kind: "number", show: value }, { name: 1, title: "Unit", show: (unit) => (unit === "1" ? "–" : unit) },
    { title: "Wanted", value: (row) => better[row[3]] ?? row[3] }, { name: 4, title: "What it is", wide: true },
  ];

  /* Words that the page uses as the trade does. */
  const WORDS = [
    ["Adder", "What the price at a node is above (+) or below (−) the price of the node above it, because a limit between them is reached."],
    ["Autarky", "Share of what was withdrawn that solar power made on the feeder at the same time."],
    ["Binding, held", "A limit is binding, or holds the clearing, where more would have flowed without it."],
    ["Bus, node", "A bus is a point of the network, with a voltage; a node is a transformer or group of buses below one limit, with a price."],
    ["Certified", "The clearing was checked after it was made: whatever the policy promises, such as awards that follow from the curves and limits that are kept, was found kept."],
    ["Clearing, set-point", "The market matches all curves of an interval and finds prices; what each participant is then asked to draw or give is its set-point."],
    ["Congestion rent", "What is left over where power is bought at a low price and sold at a higher one on the other side of a full limit."],
    ["Import, export", "Seen from below: power that flows down into a feeder or a node is its import, power that flows up its export."],
    ["Loading", "Apparent power through a transformer, or current through a line, as a share of the nameplate."],
    ["pu", "Per unit: voltage as a share of the nominal voltage."],
    ["State of charge", "Energy in a battery as a share of what it holds."],
    ["Welfare", "What power is worth to those who use it less what it costs those who give it, by their own curves; below zero where the needs that must be met have no worth of their own in a curve."],
  ];

  const words = () => h("details", {}, h("summary", { text: "What the words mean" }),
    h("dl", { class: "words" }, WORDS.flatMap(([word, meaning]) => [h("dt", { text: word }), h("dd", { text: meaning })])));

  const made = (element, manifest, seconds) => {
    element.append(h("h3", { text: "What it was made of" }));
    const columns = h("div", { class: "columns" });
    element.append(columns);
    const pair = [{ name: 0, title: "Key" }, { name: 1, title: "Value" }];
    tableIn(columns, "Run", pair, manifest.made, { filter: false });
    tableIn(columns, "Proofs", pair, manifest.proofs, { filter: false });
    tableIn(columns, "Versions", [{ name: 0, title: "Package" }, { name: 1, title: "Version" }], manifest.versions, { filter: false });
    tableIn(columns, "Time it took", [{ name: 0, title: "Part" }, { name: 1, title: "Time", unit: "s", kind: "number", digits: 2 }], seconds, { filter: false });
    element.append(h("details", {}, h("summary", { text: "Scenario as resolved" }),
      h("pre", { text: JSON.stringify(manifest.scenario, null, 2), tabindex: 0, "aria-label": "Scenario as resolved" })));
  };

  degsim.section("summary", async (element) => {
    const data = await degsim.data("summary");
    const currency = data.currency;
    if (data.stopped) element.append(h("p", { class: "verdict bad", text: data.stopped }));
    if (data.description) element.append(h("p", { text: data.description }));
    element.append(tiles(data.tiles));
    const columns = h("div", { class: "columns" });
    element.append(columns);
    tableIn(columns, "Participants", [{ name: 0, title: "Kind" }, { name: 1, title: "Number", kind: "count" }], data.participants);
    tableIn(columns, "Money by kind of party", [
      { name: "kind", title: "Kind" }, { name: "parties", title: "Parties", kind: "count" },
      { name: "net", title: "Net (+ received)", kind: "decimal" }, { name: "currency", title: "Currency" }], data.accounts);
    tableIn(columns, "Money by term", [{ name: 0, title: "Term" }, { name: 2, title: "Turnover", kind: "decimal" }, { name: 1, title: "Currency" }], data.turnover);
    tableIn(element, "Prices by node", money(currency), data.prices);
    tableIn(element, "Transformers", flows, data.transformers);
    tableIn(element, "Metrics", metrics, data.metrics, { page: 100, filter: true });
    element.append(h("details", {}, h("summary", { text: "The same as the terminal says it" }), h("pre", { text: data.text, tabindex: 0, "aria-label": "Summary as text" })));
    element.append(words());
    made(element, data.manifest, data.seconds);
  });
})();
