/* degsim.feeder(element, map, nodes): the feeder as a map that follows the interval.
 *
 * map, nodes: as the section "moment" holds them.  Returns {update(interval)}.
 * Voltages are colours of buses, loadings widths and greys of lines, and both are written: at transformers, in the sentence over
 * the map, and of any bus or line that the pointer is over.
 */
"use strict";

degsim.feeder = (element, map, nodes) => {
  const h = degsim.element;
  const svg = degsim.svg;
  const NAMED = 12;
  const TALLEST = 430;
  const MARGIN = 28;
  const bus = new Map(map.buses.map((name, k) => [name, k]));
  const line = new Map(map.lines.map((name, k) => [name, k]));
  const node = new Map(nodes.names.map((name, k) => [name, k]));
  const [low, high] = map.band;
  const phases = Object.keys(map.voltages);

  const said = h("p", { class: "said-of-map" });
  const over = h("p", { class: "muted", text: " " });
  const frame = h("div", { class: "map" });
  const legend = h("div", { class: "legend" });
  element.append(said, frame, over, legend);

  // --- numbers ------------------------------------------------------------------------------------------------------------

  /* Of the phases, the one that is farthest from 1; null without supply. */
  const voltage = (name, interval) => {
    const k = bus.get(name);
    if (k === undefined) return undefined;
    let found;
    for (const phase of phases) {
      const v = map.voltages[phase][k]?.[interval];
      if (v === null || v === undefined) continue;
      if (found === undefined || Math.abs(v - 1) > Math.abs(found - 1)) found = v;
    }
    return found ?? null;
  };

  const loadingOf = (kind, name, interval) => {
    const rows = kind === "line" && line.has(name) ? map.loading[line.get(name)] : node.has(name) ? nodes.loading[node.get(name)] : null;
    return rows ? rows[interval] : null;
  };

  const reach = (() => {
    let most = 0.02;
    for (const phase of phases) for (const row of map.voltages[phase]) for (const v of row) if (v !== null) most = Math.max(most, Math.abs(v - 1));
    return Math.ceil(100 * most - 1e-9) / 100;
  })();

  // --- colours ------------------------------------------------------------------------------------------------------------

  const rgb = (name) => {
    const hex = degsim.color(name).slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  const mixed = (a, b, part) => `rgb(${a.map((x, i) => Math.round(x + (b[i] - x) * Math.min(1, Math.max(0, part)))).join(",")})`;
  let paints = {};
  const learn = () => { paints = Object.fromEntries(["low", "middle", "high", "idle", "loaded", "purple"].map((name) => [name, rgb(name)])); };
  const voltageColor = (v) => mixed(paints.middle, v < 1 ? paints.low : paints.high, Math.abs(v - 1) / reach);
  const loadingColor = (share) => (share > 1 ? `rgb(${paints.purple.join(",")})` : mixed(paints.idle, paints.loaded, share));

  // --- drawing ------------------------------------------------------------------------------------------------------------

  let drawn = null;

  const build = (edition) => {
    const picture = map.editions[edition];
    const width = Math.max(280, frame.clientWidth);
    // A street without a branch needs no square.
    const levels = new Set(picture.y).size;
    const HEIGHT = Math.min(TALLEST, 70 + 60 * levels);
    const place = (k) => [MARGIN + picture.x[k] * (width - 2 * MARGIN), MARGIN + picture.y[k] * (HEIGHT - 2 * MARGIN)];
    const radius = Math.max(1.6, Math.min(6, 90 / Math.sqrt(Math.max(1, picture.buses.length)) / 2));
    const sites = new Set(picture.sites);
    const edges = picture.edges.map(([kind, name, start, end]) => {
      const [[x1, y1], [x2, y2]] = [place(start), place(end)];
      const title = svg("title");
      return { kind, name, start, end, at: [(x1 + x2) / 2, (y1 + y2) / 2], title, shape: svg("line", { x1, y1, x2, y2, "stroke-linecap": "round" }, title) };
    });
    const buses = picture.buses.map((name, k) => {
      const [cx, cy] = place(k);
      const title = svg("title");
      const r = sites.has(k) ? radius : 0.75 * radius;
      const cross = svg("path", { d: `M${cx - r} ${cy - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`, stroke: "currentColor", "stroke-width": 1.6, "pointer-events": "none" });
      return { name, k, isSite: sites.has(k), title, cross, shape: svg("circle", { cx, cy, r }, title) };
    });
    const rings = edges.filter((edge) => edge.kind === "transformer").map((edge) => {
      const [x, y] = edge.at;
      const ring = (dy) => svg("circle", { cx: x, cy: y + dy, r: 6, fill: "var(--paper)", stroke: "currentColor", "stroke-width": 1.5, "pointer-events": "none" });
      return svg("g", {}, ring(-3.6), ring(3.6), svg("circle", { cx: x, cy: y - 3.6, r: 6, fill: "none", stroke: "currentColor", "stroke-width": 1.5, "pointer-events": "none" }));
    });
    const names = svg("g", { "font-size": 12, "pointer-events": "none" });
    const image = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width: "100%", height: HEIGHT, role: "img" },
      edges.map((edge) => edge.shape), buses.map((each) => each.shape), buses.map((each) => each.cross), rings, names);
    image.addEventListener("pointerover", (event) => {
      const text = event.target.querySelector?.("title")?.textContent;
      if (text) over.textContent = text;
    });
    frame.replaceChildren(image);
    drawn = { edition, width, picture, edges, buses, names, image };
  };

  const paintEdges = (interval) => {
    for (const edge of drawn.edges) {
      const share = loadingOf(edge.kind, edge.name, interval);
      const ends = [edge.start, edge.end].map((k) => voltage(drawn.picture.buses[k], interval));
      const isDark = ends.includes(null);
      const { shape } = edge;
      shape.setAttribute("stroke", isDark ? degsim.color("faint") : loadingColor(share ?? 0));
      shape.setAttribute("stroke-width", 1.4 + 3.4 * Math.min(1.2, Math.max(0, share ?? 0)));
      if (isDark) shape.setAttribute("stroke-dasharray", "2 3");
      else shape.removeAttribute("stroke-dasharray");
      edge.title.textContent = `${edge.kind} ${edge.name}: ${isDark ? "without supply" : share === null || share === undefined ? "no rating" : `loading ${degsim.percent(share)}`}`;
    }
  };

  const paintBuses = (interval) => {
    for (const each of drawn.buses) {
      const v = voltage(each.name, interval);
      const isOut = typeof v === "number" && (v < low || v > high);
      each.shape.setAttribute("fill", typeof v === "number" ? voltageColor(v) : degsim.color("paper"));
      each.shape.setAttribute("stroke", v === null ? degsim.color("faint") : degsim.color(each.isSite ? "ink" : "muted"));
      each.shape.setAttribute("stroke-width", each.isSite ? 1.2 : 0.5);
      each.cross.setAttribute("visibility", isOut ? "visible" : "hidden");
      each.title.textContent = `bus ${each.name}: ${v === null ? "without supply" : v === undefined ? "not told" : `${degsim.number(v, 4)} pu${isOut ? ", outside the band" : ""}`}`;
    }
  };

  /* The most loaded transformers by name, as far as they find room. */
  const paintNames = (interval) => {
    const taken = [];
    const ranked = drawn.edges.filter((edge) => edge.kind === "transformer")
      .map((edge) => ({ ...edge, share: loadingOf("transformer", edge.name, interval) ?? -1 }))
      .sort((a, b) => b.share - a.share).slice(0, NAMED);
    drawn.names.replaceChildren(...ranked.flatMap((edge) => {
      const text = `${edge.name}${edge.share >= 0 ? ` ${degsim.percent(edge.share)}` : ""}`;
      const isRight = edge.at[0] > drawn.width / 2;
      const size = 6.6 * text.length;
      const box = { x: edge.at[0] + (isRight ? -12 - size : 12), y: Math.max(14, edge.at[1] - 14), size };
      if (box.x < 0 || box.x + size > drawn.width || taken.some((other) => Math.abs(other.y - box.y) < 15 && box.x < other.x + other.size && other.x < box.x + size)) return [];
      taken.push(box);
      const words = { x: box.x, y: box.y, stroke: "var(--paper)", "stroke-width": 4, "paint-order": "stroke", fill: "currentColor", "font-weight": edge.share > 1 ? 700 : 400, text };
      return [svg("text", words)];
    }));
  };

  const claim = (interval) => {
    const known = drawn.picture.buses.map((name) => [name, voltage(name, interval)]).filter(([, v]) => typeof v === "number");
    if (!known.length) return "No power flow in this interval.";
    const [name, v] = known.reduce((a, b) => (Math.abs(b[1] - 1) > Math.abs(a[1] - 1) ? b : a));
    const loads = drawn.edges.map((edge) => [edge.name, loadingOf(edge.kind, edge.name, interval)]).filter(([, share]) => typeof share === "number");
    const top = loads.length ? loads.reduce((a, b) => (b[1] > a[1] ? b : a)) : null;
    const outside = known.filter(([, each]) => each < low || each > high).length;
    const dark = drawn.picture.buses.filter((each) => voltage(each, interval) === null).length;
    return [
      top ? `${top[0]} carries ${degsim.percent(top[1])} of its rating` : null,
      `the voltage farthest from 1 is ${degsim.number(v, 3)} pu at ${name}`,
      outside ? `${degsim.count(outside)} ${outside === 1 ? "bus" : "buses"} outside the band (crossed)` : null,
      dark ? `${degsim.count(dark)} without supply (hollow)` : null,
    ].filter(Boolean).join("; ") + ".";
  };

  const writeLegend = () => {
    const bar = (stops, ticks, label) => h("div", { class: "bar" }, h("div", { class: "ramp", style: `background:linear-gradient(to right, ${stops.join(",")})` }),
      h("div", { class: "ticks" }, ticks.map((text) => h("span", { text }))), h("div", { text: label }));
    const v = [-1, -0.5, 0, 0.5, 1].map((part) => 1 + part * reach);
    legend.replaceChildren(
      bar(v.map(voltageColor), [v[0], 1, v[4]].map((each) => degsim.number(each, 2)), `voltage, pu (band: ${low} to ${high})`),
      bar([0, 0.5, 1].map(loadingColor), ["0 %", "50 %", "100 %"], "loading, % of the rating; wider is more, purple beyond it"),
      h("div", { class: "muted", text: `With a rim: participants. Two rings: a transformer.${phases.length > 1 ? " Of three phases, the one farthest from 1." : ""}` }));
  };

  let interval = 0;
  const update = (wanted) => {
    interval = wanted;
    const edition = String(map.edition[interval] ?? Object.keys(map.editions)[0]);
    if (!map.editions[edition]?.buses.length) {
      said.textContent = "This run has no feeder.";
      legend.hidden = over.hidden = true;
      return;
    }
    if (!drawn || drawn.edition !== edition || Math.abs(drawn.width - Math.max(280, frame.clientWidth)) > 2) build(edition);
    paintEdges(interval);
    paintBuses(interval);
    paintNames(interval);
    said.textContent = claim(interval);
    drawn.image.setAttribute("aria-label", `Map of the feeder: ${said.textContent}`);
  };

  degsim.onTheme(() => { learn(); writeLegend(); if (drawn) update(interval); });
  new ResizeObserver(() => { if (drawn && frame.clientWidth) update(interval); }).observe(frame);
  return { update };
};
