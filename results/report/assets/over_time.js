/* Charts over the run.  Every value holds from its interval's start to its end, so that all lines are steps; a click moves the
 * slider to the interval.  Six looks (colour and dash) can be told apart, and no chart shows more lines than that.
 */
"use strict";

(() => {
  const h = (...all) => degsim.element(...all);
  const COLORS = ["blue", "vermillion", "green", "orange", "purple", "sky"];
  const DASHES = [[1, 0], [7, 2], [2, 2], [8, 2, 2, 2], [4, 2, 1, 2, 1, 2], [11, 3]];
  const STEPS_MIN = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080];
  const HOVER = 3000;

  // --- the axis of time ---------------------------------------------------------------------------------------------------

  const minuteOfDay = (text) => 60 * Number(text.slice(11, 13)) + Number(text.slice(14, 16));

  const ticks = (width) => {
    const moments = degsim.page.moments;
    const minutes = moments.map(minuteOfDay);
    const most = Math.max(2, Math.floor(width / 80));
    let found = [];
    for (const step of STEPS_MIN) {
      found = [...moments.keys()].filter((i) => minutes[i] % Math.min(step, 1440) === 0);
      if (found.length <= most) break;
    }
    const stride = Math.ceil(found.length / most) || 1;
    found = found.filter((_, i) => i % stride === 0);
    return found.length ? found : [0];
  };

  const labels = (at) => Object.fromEntries(at.map((i, position) => {
    const [date, time] = [degsim.moment(i).slice(0, -6), degsim.moment(i).slice(-5)];
    return [i, position === 0 || time === "00:00" ? [time, date] : [time]];
  }));

  const x = (width) => {
    const at = ticks(width);
    return {
      params: [{ name: "at", value: degsim.interval }, { name: "labels", value: labels(at) }],
      encoding: {
        field: "i", type: "quantitative",
        scale: { domain: [0, degsim.page.moments.length], nice: false, zero: false },
        axis: { values: at, labelExpr: "labels[datum.value]", title: "local time", grid: true, labelOverlap: "greedy" },
      },
    };
  };

  // --- parts of charts ----------------------------------------------------------------------------------------------------

  /* A value for every interval, and the last one again at the end of the run. */
  const steps = (values) => values.map((v, i) => ({ i, v })).concat(values.length ? [{ i: values.length, v: values.at(-1) }] : []);

  /* What the legend calls a line; several may share a name there. */
  const named = (one) => one.legend ?? one.name;

  const rowsOf = (series) => series.flatMap((one) => steps(one.values).map((row) => ({ ...row, name: named(one), id: one.name })));

  const looks = (series) => {
    const first = new Map(series.map((one, k) => [named(one), [degsim.color(one.color ?? COLORS[k % COLORS.length]), one.dash ?? DASHES[k % DASHES.length]]]).reverse());
    const names = [...new Set(series.map(named))];
    return { names, colors: names.map((name) => first.get(name)[0]), dashes: names.map((name) => first.get(name)[1]) };
  };

  const lineLayer = (series, y) => {
    const { names, colors, dashes } = looks(series);
    return {
      data: { values: rowsOf(series) },
      mark: { type: "line", interpolate: "step-after", strokeWidth: 1.8, clip: true },
      encoding: {
        y: { field: "v", type: "quantitative", ...y },
        color: { field: "name", type: "nominal", sort: null, scale: { domain: names, range: colors }, legend: { title: null } },
        strokeDash: { field: "name", type: "nominal", sort: null, scale: { domain: names, range: dashes }, legend: { title: null } },
        detail: { field: "id" },
      },
    };
  };

  const stackLayer = (series, y) => {
    const { names, colors } = looks(series);
    const half = (some) => ({
      data: { values: rowsOf(some) },
      mark: { type: "area", interpolate: "step-after", clip: true, opacity: 0.85, stroke: degsim.color("paper"), strokeWidth: 0.8 },
      encoding: {
        y: { field: "v", type: "quantitative", stack: "zero", ...y },
        color: { field: "name", type: "nominal", sort: null, scale: { domain: names, range: colors }, legend: { title: null } },
        detail: { field: "id" },
      },
    });
    const isDown = (one) => one.values.some((v) => v < 0);
    return [series.filter((one) => !isDown(one)), series.filter(isDown)].filter((some) => some.length).map(half);
  };

  const band = (fan, low, high, opacity, color, y) => ({
    data: { values: steps(fan[low]).map((row, i) => ({ i: row.i, v: row.v, top: fan[high][Math.min(i, fan[high].length - 1)] })) },
    mark: { type: "area", interpolate: "step-after", opacity, color: degsim.color(color), clip: true },
    encoding: { y: { field: "v", type: "quantitative", ...y }, y2: { field: "top" } },
  });

  const fanLayers = (fan, color, y) => {
    const middle = {
      data: { values: steps(fan.median) },
      mark: { type: "line", interpolate: "step-after", strokeWidth: 2, color: degsim.color(color), clip: true },
      encoding: { y: { field: "v", type: "quantitative", ...y } },
    };
    return [band(fan, "lowest", "highest", 0.18, color, y), band(fan, "low", "high", 0.3, color, y), middle];
  };

  const limit = (value, y) => ({
    data: { values: [{ v: value }] },
    mark: { type: "rule", color: degsim.color("vermillion"), strokeWidth: 1.4, strokeDash: [6, 3] },
    encoding: { x: { value: 0 }, x2: { value: "width" }, y: { field: "v", type: "quantitative", ...y } },
  });

  const shaded = (intervals) => ({
    data: { values: intervals.map((i) => ({ i, end: i + 1 })) },
    mark: { type: "rect", color: degsim.color("muted"), opacity: 0.13 },
    encoding: { x2: { field: "end" }, y: { value: 0 }, y2: { value: "height" } },
  });

  const cursor = () => degsim.page.moments.length > 1 && ({
    data: { values: [{}] },
    transform: [{ calculate: "at", as: "i" }, { calculate: "at + 1", as: "end" }],
    mark: { type: "rect", color: degsim.color("ink"), opacity: 0.16 },
    encoding: { x2: { field: "end" }, y: { value: 0 }, y2: { value: "height" } },
  });

  /* What is told of an interval when the pointer is anywhere over it. */
  const hover = (told) => {
    const count = degsim.page.moments.length;
    if (count > HOVER) return null;
    const rows = degsim.page.moments.map((_, i) => {
      const row = { i, end: i + 1, t: degsim.moment(i) };
      told.forEach((one, k) => { row[`s${k}`] = one.write(one.values[i]); });
      return row;
    });
    return {
      data: { values: rows },
      mark: { type: "rect", opacity: 0, cursor: "pointer" },
      encoding: {
        x2: { field: "end" }, y: { value: 0 }, y2: { value: "height" },
        tooltip: [{ field: "t", title: "from" }, ...told.map((one, k) => ({ field: `s${k}`, title: one.name }))],
      },
    };
  };

  const tell = (series, digits, unit) => series.map((one) => ({ name: one.name, values: one.values, write: (v) => `${degsim.number(v, digits)} ${unit}` }));

  const draw = (parent, { title, label, notes = [], height = 260, layers, told }) => {
    const box = h("div");
    const now = h("figcaption", { class: "now" });
    parent.append(h("figure", { style: "margin:0" }, h("h3", { text: title }), box, now, notes.filter(Boolean).map((text) => h("figcaption", { class: "muted", text }))));
    const spec = (width) => {
      const time = x(width);
      return { height, params: time.params, encoding: { x: time.encoding }, layer: [...layers(), cursor(), hover(told)].filter(Boolean) };
    };
    // What the pointer is told, for those without one.
    const tellNow = () => {
      const values = told.filter((one) => (one.values[degsim.interval] ?? null) !== null);
      now.textContent = values.length ? `${degsim.moment(degsim.interval)}: ${values.map((one) => `${one.name} ${one.write(one.values[degsim.interval])}`).join(" · ")}` : "";
    };
    degsim.onInterval(tellNow);
    return degsim.chart(box, spec, { label, at: true, onDraw: tellNow, onClick: (datum) => { if (Number.isInteger(datum.i)) degsim.setInterval(datum.i); } });
  };

  const hasAny = (values) => (values ?? []).some((v) => v !== null && v !== undefined);
  const negative = (values) => values.map((v) => (v === null ? null : -v));

  // --- the charts ---------------------------------------------------------------------------------------------------------

  const prices = async (parent, time, moment) => {
    const at = new Map(moment.prices.names.map((name, k) => [name, k]));
    const pick = (column) => (node) => moment.prices[column][at.get(node)] ?? [];
    const unit = `${time.currency}/kWh`;
    const { root, nodes, more, alike, own, retailer, parted } = time.prices;
    const tariff = [["retailer sells", "import_price", [1.5, 2.5]], ["retailer buys", "export_price", [5, 2, 1.5, 2]]]
      .filter(([, name]) => hasAny(retailer[name])).map(([name, key, dash]) => ({ name, values: retailer[key], color: "muted", dash }));
    const lines = [...nodes.slice(0, 5), ...(at.has(root) ? [root] : [])]
      .map((node) => ({ name: node, values: pick("price_per_kwh")(node) })).filter((one) => hasAny(one.values));
    lines.filter((one) => one.name === root).forEach((one) => Object.assign(one, { color: "ink", dash: [1, 0] }));
    const series = [...tariff, ...lines];
    if (!series.length) return;
    const y = { title: `price, ${unit}`, scale: { zero: false } };
    await draw(parent, {
      title: "Prices by node",
      label: `Prices by node over the run in ${unit}`,
      notes: [
        parted.length ? "Shaded: intervals in which prices differ." : "",
        own.low ? "Band: from the lowest to the highest price of a participant, where they differ from their nodes'." : "",
        alike ? `${degsim.count(alike)} ${alike === 1 ? "node never has" : "nodes never have"} an adder: the price there is that of ${root}.` : "",
        more + Math.max(0, nodes.length - 5) ? `${degsim.count(more + Math.max(0, nodes.length - 5))} more nodes have smaller adders; see One interval.` : "",
      ],
      layers: () => [shaded(parted), ...(own.low ? [band(own, "low", "high", 0.3, "purple", y)] : []), lineLayer(series, y)],
      told: tell([...series, ...(own.low ? [{ name: "highest own price", values: own.high }, { name: "lowest own price", values: own.low }] : [])], 4, unit),
    });
    const adders = nodes.slice(0, 6).map((node) => ({ name: node, values: pick("adder_per_kwh")(node) })).filter((one) => hasAny(one.values));
    if (!adders.length) return;
    await draw(parent, {
      title: "Adders: local price less the price above",
      label: `Adders by node over the run in ${unit}`, height: 190,
      layers: () => [shaded(parted), lineLayer(adders, { title: `adder, ${unit}` })],
      told: tell(adders, 4, unit),
    });
  };

  const flowSeries = (nodes, k) => [
    { name: "on the wires", values: nodes.wire_lv_kw[k], color: "blue", dash: [1, 0] },
    { name: "as cleared", values: nodes.market_flow_kw[k], color: "ink", dash: [2, 2] },
    { name: "limit, import", legend: "limit", values: nodes.rated_import_kw[k], color: "vermillion", dash: [1, 0] },
    { name: "limit, export", legend: "limit", values: negative(nodes.rated_export_kw[k]), color: "vermillion", dash: [1, 0] },
    { name: "market's limit, import", legend: "market's limit", values: nodes.import_limit_kw[k], color: "vermillion", dash: [7, 2] },
    { name: "market's limit, export", legend: "market's limit", values: negative(nodes.export_limit_kw[k]), color: "vermillion", dash: [7, 2] },
  ].filter((one) => hasAny(one.values));

  const flows = async (parent, moment) => {
    const nodes = moment.nodes;
    if (!nodes.names.length) return;
    let k = nodes.names.map((_, i) => i).reduce((a, b) => (Math.max(...nodes.loading[b], 0) > Math.max(...nodes.loading[a], 0) ? b : a), 0);
    const select = h("select", { id: "flow-node", on: { change: () => { k = Number(select.value); chart.redraw(); } } },
      nodes.names.map((name, i) => h("option", { value: i, selected: i === k, text: name })));
    const box = h("div");
    parent.append(box);
    const told = [];
    const refresh = () => told.splice(0, told.length, ...tell(flowSeries(nodes, k), 1, "kW"));
    refresh();
    // Limits that are far from what flowed would flatten it; they are told on hover.
    const near = (series) => {
      const reach = Math.max(1, ...series.filter((one) => !one.legend).flatMap((one) => one.values.map((v) => Math.abs(v ?? 0))));
      return series.filter((one) => Math.min(...one.values.filter((v) => v !== null).map(Math.abs)) <= 4 * reach);
    };
    const chart = await draw(box, {
      title: "Transformer flow against its limits",
      label: "Flow through the chosen transformer over the run in kW, with its limits in both directions",
      notes: [
        "Import (downstream) is above 0, export below.",
        nodes.names.some((_, i) => near(flowSeries(nodes, i)).length < flowSeries(nodes, i).length) ? "A limit that is more than four times as far from 0 as anything that flowed is not drawn but written." : "",
        nodes.note,
      ],
      layers: () => { refresh(); return [lineLayer(near(flowSeries(nodes, k)), { title: "flow, kW (+ import)" })]; },
      told,
    });
    if (nodes.names.length > 1) box.querySelector("h3").after(h("div", { class: "tools" }, h("label", { for: "flow-node", text: "Transformer" }), select));
  };

  /* Kinds that look alike in every run, and in every picture; others take what is left, and the rest share a grey. */
  const KINDS = { household: "vermillion", ev: "green", solar: "orange", battery: "purple" };
  const OTHER = "line";
  const kindColors = (names) => {
    const free = COLORS.filter((color) => !names.some((name) => KINDS[name] === color));
    return new Map(names.map((name) => [name, KINDS[name] ?? free.shift() ?? OTHER]));
  };

  const energy = async (parent, time) => {
    const { names, injected, withdrawn } = time.kinds;
    if (!names.length) return;
    const colors = kindColors(names);
    const series = names.flatMap((name, k) => {
      const look = { legend: colors.get(name) === OTHER ? "other kinds" : name, color: colors.get(name) };
      return [{ name: `${name} injects`, values: injected[k], ...look }, { name: `${name} withdraws`, values: negative(withdrawn[k]), ...look }];
    }).filter((one) => one.values.some((v) => v));
    const slack = { name: "grid (+ import)", values: time.grid.slack_kw, color: "ink", dash: [4, 2] };
    await draw(parent, {
      title: "Power by kind of participant",
      label: "Power injected and withdrawn by kind of participant over the run in kW, stacked around zero",
      notes: ["Mean metered power of the interval: injections above 0, withdrawals below; the dashed line is what the upstream grid gives (+) or takes (−)."],
      layers: () => [...stackLayer(series, { title: "power, kW (+ injection)" }), {
        ...lineLayer([slack], {}),
        encoding: { y: { field: "v", type: "quantitative" }, color: { value: degsim.color("ink") }, strokeDash: { value: [4, 2] } },
      }],
      told: tell([...series, ...(hasAny(slack.values) ? [slack] : [])], 1, "kW"),
    });
  };

  const voltages = async (parent, time) => {
    const fan = time.voltages;
    if (!hasAny(fan.median)) return;
    const [low, high] = fan.band;
    const all = [...fan.lowest, ...fan.highest].filter((v) => v !== null);
    const reach = Math.max(0.02, ...all.map((v) => Math.abs(v - 1)));
    const room = 0.15 * reach;
    const domain = [Math.min(0.995, ...all) - room, Math.max(1.005, ...all) + room];
    const y = { title: "voltage, pu", scale: { zero: false, nice: false, domain } };
    const shown = [low, high].filter((edge) => edge >= domain[0] && edge <= domain[1]);
    await draw(parent, {
      title: "Voltages of all buses",
      label: "Lowest, median and highest voltage over all buses by interval, per unit of the nominal voltage",
      notes: [`Line: median. Dark: the middle 90 % of buses. Light: extremes. The band allowed is ${low} to ${high} pu${shown.length === 2 ? " (dashed)" : shown.length ? "; its end in reach is dashed" : ", beyond this scale"}.`],
      layers: () => [...fanLayers(fan, "blue", y), ...shown.map((edge) => limit(edge, y))],
      told: tell([["highest", fan.highest], ["median", fan.median], ["lowest", fan.lowest]].map(([name, values]) => ({ name, values })), 4, "pu"),
    });
  };

  const percentAxis = (title) => ({ title, axis: { format: ".0%" } });

  const lines = async (parent, time) => {
    const fan = time.lines;
    if (!hasAny(fan.median)) return;
    const most = Math.max(...fan.highest.filter((v) => v !== null));
    const y = percentAxis("loading, % of rating");
    await draw(parent, {
      title: "Loading of lines", height: 190,
      label: "Median and highest loading over all lines by interval as a share of the rating",
      notes: ["Line: median. Dark: the middle 90 % of lines. Light: extremes."],
      layers: () => [...fanLayers(fan, "green", y), ...(most > 0.6 ? [limit(1, y)] : [])],
      told: [["highest", fan.highest], ["median", fan.median]].map(([name, values]) => ({ name, values, write: (v) => degsim.percent(v) })),
    });
  };

  const charge = async (parent, time) => {
    for (const [kind, fan] of Object.entries(time.charge)) {
      if (!hasAny(fan.median)) continue;
      const y = percentAxis("state of charge, %");
      y.scale = { domain: [0, 1] };
      const due = kind === "ev" ? time.sessions.departure.filter((at) => at < degsim.page.moments.length) : [];
      const deadlines = {
        data: { values: due.map((i) => ({ i })) },
        mark: { type: "tick", color: degsim.color("vermillion"), thickness: 1.5, size: 12 },
        encoding: { y: { value: 6 } },
      };
      await draw(parent, {
        title: `State of charge: ${kind}`, height: 210,
        label: `State of charge of all of kind ${kind} over the run`,
        notes: ["Line: median of those that are there. Dark: the middle 90 %. Light: extremes.", due.length ? "Marks at the top: departures." : ""],
        layers: () => [...fanLayers(fan, "purple", y), ...(due.length ? [deadlines] : [])],
        told: [
          ...[["highest", fan.highest], ["median", fan.median], ["lowest", fan.lowest]].map(([name, values]) => ({ name, values, write: (v) => degsim.percent(v) })),
          { name: "there", values: fan.there, write: (v) => degsim.count(v) },
        ],
      });
    }
  };

  const sessions = (parent, time) => {
    const rows = time.sessions;
    if (!rows.era.length) return;
    const moment = (at) => (at < 0 ? "before the run" : at < degsim.page.moments.length ? degsim.moment(Math.floor(at)) : "after the run");
    const box = h("div");
    parent.append(h("h3", { text: "Visits of vehicles" }), box);
    degsim.table(box, [
      { name: "era", title: "Vehicle" },
      { name: "arrival", title: "Arrival", unit: "in the interval from", kind: "number", show: moment },
      { name: "departure", title: "Departure", unit: "in the interval from", kind: "number", show: moment },
      { name: "need", title: "Need", unit: "kWh", kind: "number", digits: 3 },
      { name: "served", title: "Served", unit: "kWh", kind: "number", digits: 3 },
      { name: "unserved", title: "Missing", unit: "kWh", kind: "number", digits: 3 },
    ], rows.era.map((era, i) => ({ era, arrival: rows.arrival[i], departure: rows.departure[i], need: rows.need_kwh[i], served: rows.served_kwh[i], unserved: rows.unserved_kwh[i] })),
    { caption: "Visits of vehicles", quiet: true });
  };

  degsim.section("time", async (element) => {
    const [time, moment] = await Promise.all([degsim.data("time"), degsim.data("moment")]);
    const many = degsim.page.moments.length > 1;
    element.append(h("p", { class: "muted", text: many ? "The shaded column is the interval of the slider, whose numbers stand under each chart; a click in a chart moves it." : "This run has one interval." }));
    await prices(element, time, moment);
    await flows(element, moment);
    await energy(element, time);
    await voltages(element, time);
    await lines(element, time);
    await charge(element, time);
    sessions(element, time);
  });
})();
