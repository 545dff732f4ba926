/* One interval: map, clearing and tables, which all follow the slider. */
"use strict";

(() => {
  const h = (...all) => degsim.element(...all);

  const facts = (pairs) => h("dl", { class: "facts" }, pairs.map(([name, text]) => h("div", {}, h("dt", { text: name }), h("dd", { text }))));

  const told = (data, i) => {
    const all = data.intervals;
    const unit = `${data.currency}/kWh`;
    const isMarket = Boolean(all.policy[i]);
    return [
      ["Interval", `${degsim.moment(i)} (${i})`],
      ["Power flow", all.status[i] ?? "–"],
      ["Policy", isMarket ? `${all.policy[i]}${all.fallback[i] ? " (fallback)" : ""}` : "no market"],
      ...(isMarket ? [
        ["Cleared", `${degsim.number(all.quantity_kw[i], 3)} kW`],
        ["Clearings it took", degsim.count(all.rounds[i])],
        ["Certified", all.certified[i] === null ? "–" : all.certified[i] ? "yes" : `no (${degsim.count(all.violations[i])} broken)`],
        ["Welfare", `${degsim.number(all.welfare[i], 2)} ${data.currency}/h`],
        ["Congestion rent", `${degsim.number(all.rent[i], 4)} ${data.currency}`],
      ] : []),
      ["From the grid", `${degsim.number(all.slack_kw[i], 3)} kW`],
      ["Losses", `${degsim.number(all.losses_kw[i], 3)} kW`],
      ["Without supply", `${degsim.number(all.unserved_kwh[i], 3)} kWh`],
      ...(all.import_price[i] === null ? [] : [["Retailer sells", `${degsim.number(all.import_price[i], 4)} ${unit}`]]),
      ...(all.export_price[i] === null ? [] : [["Retailer buys", `${degsim.number(all.export_price[i], 4)} ${unit}`]]),
    ];
  };

  const kw = (name, title, kind = "number") => ({ name, title, unit: "kW", kind, digits: 3 });

  /* Each table: its title, how many rows there are at most, its columns, and its rows in an interval. */
  const tables = (data) => {
    const { prices, nodes, parties, map, states, bounds } = data;
    const unit = `${data.currency}/kWh`;
    const kindOf = new Map(parties.names.map((name, k) => [name, parties.kind[k]]));
    const phases = Object.keys(map.voltages);
    const [low, high] = map.band;
    const at = (group, k, i, keys) => Object.fromEntries(keys.map((key) => [key, group[key][k][i]]));
    const rows = (group, keys, more = () => ({})) => (i) => group.names.map((name, k) => ({ name, ...at(group, k, i, keys), ...more(k) }));
    // Of those who take part now and then, those who do now.
    const present = (of, key) => (i) => of(i).filter((row) => row[key] !== null);
    const flowKeys = ["market_flow_kw", "assessed_kw", "wire_lv_kw", "wire_lv_kvar", "import_limit_kw", "export_limit_kw", "rated_import_kw", "rated_export_kw", "loading", "binding"];
    const partyKeys = ["setpoint_kw", "delivered_kw", "curtailed_kw", "available_kw", "q_kvar", "unserved_kw", "energy_wh", "price_per_kwh"];
    return [
      { name: "prices", of: prices, title: "Prices by node", count: isTold(prices, "price_per_kwh") ? prices.names.length : 0, open: true, note: prices.note,
        columns: [{ name: "name", title: "Node" }, { name: "price_per_kwh", title: "Price", unit, kind: "number", digits: 5 }, { name: "adder_per_kwh", title: "Adder to the price above", unit, kind: "signed", digits: 5 }],
        rows: rows(prices, ["price_per_kwh", "adder_per_kwh"]) },
      { name: "flows", of: nodes, title: "Flows at transformers (+ import)", count: nodes.names.length, open: true, note: nodes.note,
        columns: [{ name: "name", title: "Transformer" }, kw("wire_lv_kw", "On the wires"), kw("market_flow_kw", "As cleared"), kw("assessed_kw", "As assessed"),
          { name: "loading", title: "Loading", unit: "of the rating", kind: "percent", digits: 2 }, kw("import_limit_kw", "Import limit of the market"), kw("export_limit_kw", "Export limit of the market"),
          kw("rated_import_kw", "Import limit"), kw("rated_export_kw", "Export limit"), { name: "wire_lv_kvar", title: "Reactive", unit: "kvar", kind: "number", digits: 3 },
          { name: "binding", title: "Held the clearing", show: (text) => ({ FORWARD: "import limit", REVERSE: "export limit" })[text] ?? "–" }],
        rows: rows(nodes, flowKeys) },
      { name: "parties", of: parties, title: "Set-points and deliveries (+ injection)", count: parties.names.length, open: true, note: parties.note,
        columns: [{ name: "name", title: "Participant" }, { name: "kind", title: "Kind" }, { name: "node", title: "Node" }, { name: "bus", title: "Bus" },
          kw("setpoint_kw", "Awarded"), kw("delivered_kw", "Delivered"), { name: "energy_wh", title: "Metered", unit: "Wh", kind: "count" },
          { name: "price_per_kwh", title: "Price", unit, kind: "number", digits: 5 }, kw("curtailed_kw", "Cut"), kw("available_kw", "Available"),
          { name: "q_kvar", title: "Reactive", unit: "kvar", kind: "number", digits: 3 }, kw("unserved_kw", "Without supply")],
        rows: present(rows(parties, partyKeys, (k) => ({ kind: parties.kind[k], node: parties.node[k] || "–", bus: parties.bus[k] || "–" })), "setpoint_kw") },
      { name: "states", title: "State of charge at the end", count: states.names.length,
        columns: [{ name: "name", title: "Device" }, { name: "kind", title: "Kind" }, { name: "soc", title: "State of charge", kind: "percent", digits: 2 }],
        rows: present(rows(states, ["soc"], (k) => ({ kind: kindOf.get(states.names[k]) ?? "–" })), "soc") },
      { name: "voltages", title: "Voltages", count: map.buses.length,
        columns: [{ name: "name", title: "Bus" }, ...phases.map((phase) => ({ name: `v${phase}`, title: phase ? `Phase ${phase}` : "Voltage", unit: "pu", kind: "number", digits: 4 })), { name: "verdict", title: "Band" }],
        rows: (i) => map.buses.map((name, k) => {
          const volts = phases.map((phase) => map.voltages[phase][k][i]);
          const isOut = volts.some((v) => v !== null && (v < low || v > high));
          return { name, ...Object.fromEntries(phases.map((phase, p) => [`v${phase}`, volts[p]])), verdict: volts.every((v) => v === null) ? "without supply" : isOut ? "outside" : "inside" };
        }) },
      { name: "lines", title: "Loading of lines", count: map.lines.length,
        columns: [{ name: "name", title: "Line" }, { name: "loading", title: "Loading", unit: "of the rating", kind: "percent", digits: 2 }, kw("startKW", "Into it at its start")],
        rows: (i) => map.lines.map((name, k) => ({ name, loading: map.loading[k][i], startKW: map.startKW[k][i] })) },
      { name: "bounds", title: "Bounds beside the tree", count: bounds.names.length,
        columns: [{ name: "name", title: "Bound" }, { name: "value", title: "Value", kind: "number", digits: 5 }, { name: "most", title: "At most", kind: "number", digits: 5 }, { name: "price_per_unit", title: "Worth of another unit", unit: `${data.currency}/h`, kind: "number", digits: 5 }],
        rows: rows(bounds, ["value", "most", "price_per_unit"]) },
    ].filter((table) => table.count).map((table) => ({ ...table, columns: table.columns.filter((column) => isTold(table.of, column.name)) }))
      .filter((table) => table.columns.some((column) => column.kind || table.name === "voltages"));
  };

  /* Whether a column says anything in any interval; names and texts always do. */
  const isTold = (group, name) => {
    const rows = group?.[name];
    return !Array.isArray(rows?.[0]) || rows.some((row) => row.some((value) => value !== null));
  };

  const tableBox = (parent, table) => {
    const box = h("div", { id: `table-${table.name}` });
    const details = h("details", { open: table.open ?? false }, h("summary", { text: table.title }), box, table.note ? h("p", { class: "note", text: `Here: ${table.note}.` }) : null);
    parent.append(details);
    let shown = null;
    let stale = true;
    const update = () => {
      stale = !details.open;
      if (stale) return;
      const rows = table.rows(degsim.interval);
      if (shown) shown.update(rows);
      else shown = degsim.table(box, table.columns, rows, { caption: table.title, quiet: true, filter: table.count > 5, page: 25 });
    };
    details.addEventListener("toggle", () => { if (details.open && stale) update(); });
    return update;
  };

  degsim.section("moment", async (element) => {
    const data = await degsim.data("moment");
    const summary = h("div");
    const [left, right, below] = [h("div"), h("div"), h("div")];
    const isMarket = Object.keys(data.clearings.scenes).length > 0;
    element.append(summary, h("div", { class: "columns" }, h("div", {}, h("h3", { text: "Feeder" }), left),
      isMarket ? h("div", {}, h("h3", { text: "Clearing" }), right) : null), h("h3", { text: "Tables of this interval" }), below);
    data.map.notes.forEach((text) => left.append(h("p", { class: "note", text: `Here: ${text}.` })));
    if (!data.clearings.every) right.append(h("p", { class: "note", text: `Of ${degsim.count(data.clearings.nodes)} nodes, the one where each interval was decided.` }));
    const map = degsim.feeder(left, data.map, data.nodes);
    const clearing = isMarket ? await degsim.clearing(right, data.clearings, data.currency) : null;
    const updates = tables(data).map((table) => tableBox(below, table));
    degsim.onInterval((interval) => {
      if (element.parentElement.hidden) return;
      summary.replaceChildren(facts(told(data, interval)));
      map.update(interval);
      clearing?.update(interval);
      updates.forEach((update) => update());
    });
    return (detail) => degsim.setInterval(Number(detail));
  });
})();
