/* degsim.clearing(element, clearings, currency): the clearing of an interval at a node: curves, limits, and the point.
 *
 * clearings: as the section "moment" holds them.  Returns {update(interval)}.
 */
"use strict";

degsim.clearing = async (element, clearings, currency) => {
  const h = degsim.element;
  const unit = `${currency}/kWh`;
  const names = [...new Set(Object.values(clearings.scenes).flat().map((scene) => scene.node))];
  const said = h("p");
  const box = h("div");
  const none = h("p", { class: "note", hidden: true });
  const select = h("select", { id: "clearing-node", on: { change: () => show() } },
    h("option", { value: "", text: "where it was decided" }), clearings.every ? names.map((name) => h("option", { value: name, text: name })) : null);
  const same = h("input", { type: "checkbox", id: "same-axes", on: { change: () => show() } });
  element.append(h("div", { class: "tools" },
    names.length > 1 && clearings.every ? [h("label", { for: "clearing-node", text: "Node" }), select] : null,
    h("label", { class: "check" }, same, "Same axes in every interval")), said, none, box);

  let interval = 0;
  let chart = null;

  /* The node with the largest adder, then the one that uses most of its limit; the root only where it is alone. */
  const use = (scene) => {
    const room = scene.limits[scene.flow >= 0 ? 0 : 1];
    return room === null ? 0 : room ? Math.abs(scene.flow) / room : 1;
  };
  const rank = (scene) => [scene.parent === null ? 0 : 1, Math.abs(adder(scene)), use(scene)];
  const adder = (scene) => (scene.price === null || scene.upstream === null ? 0 : scene.price - scene.upstream);
  const decisive = (scenes) => scenes.reduce((a, b) => {
    const [x, y] = [rank(a), rank(b)];
    const at = x.findIndex((value, i) => value !== y[i]);
    return at >= 0 && y[at] > x[at] ? b : a;
  });

  const current = () => {
    const scenes = clearings.scenes[interval];
    if (!scenes?.length) return null;
    return scenes.find((scene) => scene.node === select.value) ?? decisive(scenes);
  };

  const claim = (scene) => {
    const way = scene.flow >= 0 ? "import" : "export";
    const limit = scene.limits[scene.flow >= 0 ? 0 : 1];
    const beyond = limit === null ? 0 : Math.abs(scene.flow) - limit;
    const flow = `${way} of ${degsim.number(Math.abs(scene.flow), 1)} kW`;
    if (scene.parent !== null && beyond > 1e-3) return `${scene.node}: cleared ${degsim.number(beyond, 1)} kW beyond the ${way} limit.`;
    if (scene.price === null) return `${scene.node}: ${flow}, and no price.`;
    const price = `${degsim.number(scene.price, 3)} ${unit}`;
    if (scene.parent === null) return `${scene.node} clears ${degsim.number(scene.quantity, 1)} kW at ${price}.`;
    const gap = adder(scene);
    if (Math.abs(gap) <= 1e-6) return `${scene.node}: ${flow}; its limits hold nobody back, so the price is that of ${scene.parent}, ${price}.`;
    return `${scene.node}: ${flow}; the ${way} limit puts the price ${degsim.number(Math.abs(gap), 3)} ${gap > 0 ? "above" : "below"} that of ${scene.parent}, at ${price}.`;
  };

  const remarks = (scene) => {
    const [least, most] = scene.own;
    const bounds = Object.keys(scene.bounds);
    return [
      scene.price !== null && Math.max(Math.abs(least), Math.abs(most)) > 1e-6 ? ` Drawn at the node's price: participants' own differ by ${degsim.signed(least, 3)} to ${degsim.signed(most, 3)}.` : "",
      bounds.length ? ` Bounds beside the tree that hold participants apart: ${bounds.join(", ")}.` : "",
    ].join("");
  };

  // --- the picture --------------------------------------------------------------------------------------------------------

  const curve = ([powers, prices], name, mirrored) => powers.map((p, order) => ({ p: mirrored ? -p : p, v: prices[order], name, order }));

  const spans = (scene) => {
    const scenes = same.checked ? Object.values(clearings.scenes).flat().filter((each) => each.node === scene.node) : [scene];
    const prices = scenes.flatMap((each) => each.prices);
    const flows = scene.parent === null ? [0, ...scenes.map((each) => 1.05 * quantityReach(each))] : scenes.flatMap((each) => each.flows);
    return { p: [Math.min(...flows), Math.max(...flows)], v: [Math.min(...prices), Math.max(...prices)] };
  };

  const quantityReach = (scene) => {
    const most = Math.max(-Math.min(...scene.supply[0], 0), Math.max(...scene.demand[0], 0), 1);
    return Math.min(Math.max(2.2 * scene.quantity, 1), most);
  };

  const lines = (scene) => {
    if (scene.parent === null) return [["withdrawals", "demand", false, "orange"], ["injections", "supply", true, "green"]];
    const hasBoth = scene.supply[0].some((p) => p < 0) && scene.demand[0].some((p) => p > 0);
    return [["what the node would import", "net", false, "blue"],
      ...(hasBoth ? [["withdrawals alone", "demand", false, "orange"], ["injections alone", "supply", false, "green"]] : [])];
  };
  const DASH = { blue: [1, 0], orange: [8, 2, 2, 2], green: [2, 2] };

  const limits = (scene, span) => (scene.parent === null ? [] : [
    [scene.limits[0], span.p[1], "import limit", 1], [scene.limits[1] === null ? null : -scene.limits[1], span.p[0], "export limit", -1]])
    .filter(([at]) => at !== null && at > span.p[0] && at < span.p[1])
    .map(([at, end, name]) => ({ p: at, end, name: `${name} ${degsim.number(Math.abs(at), 1)} kW` }));

  const spec = () => {
    const scene = current();
    if (!scene) return { data: { values: [] }, mark: "point", height: 40 };
    const span = spans(scene);
    const drawn = lines(scene);
    const x = { field: "p", type: "quantitative", scale: { domain: span.p, nice: false, zero: false }, title: scene.parent === null ? "quantity, kW" : "import into the node, kW (below 0: export)" };
    const y = { field: "v", type: "quantitative", scale: { domain: span.v, nice: false, zero: false }, title: `price, ${unit}` };
    const point = scene.price === null ? [] : [{ p: scene.parent === null ? scene.quantity : scene.flow, v: scene.price }];
    const far = limits(scene, span);
    const lookOf = { domain: drawn.map(([name]) => name) };
    return {
      height: 360,
      encoding: { x, y },
      layer: [
        { data: { values: far }, mark: { type: "rect", color: degsim.color("vermillion"), opacity: 0.14 }, encoding: { x2: { field: "end" }, y: { value: 0 }, y2: { value: "height" } } },
        { data: { values: far }, mark: { type: "rule", color: degsim.color("vermillion"), strokeWidth: 1.6 }, encoding: { y: { value: 0 }, y2: { value: "height" }, tooltip: [{ field: "name", title: "limit" }] } },
        { data: { values: far }, mark: { type: "text", angle: 270, align: "right", baseline: "bottom", dx: -4, dy: -3, color: degsim.color("bad") }, encoding: { y: { value: 0 }, text: { field: "name" } } },
        ...(scene.upstream === null || scene.parent === null ? [] : [{
          data: { values: [{ v: scene.upstream, name: scene.parent }] }, mark: { type: "rule", strokeDash: [6, 3], color: degsim.color("ink") },
          encoding: { x: { value: 0 }, x2: { value: "width" }, tooltip: [{ field: "name", title: "price of" }, { field: "v", title: unit, format: ".5f" }] },
        }]),
        {
          data: { values: drawn.flatMap(([name, side, mirrored]) => curve(scene[side], name, mirrored)) },
          mark: { type: "line", clip: true, strokeWidth: 2.2 },
          encoding: {
            order: { field: "order", type: "quantitative" },
            color: { field: "name", type: "nominal", sort: null, scale: { ...lookOf, range: drawn.map((each) => degsim.color(each[3])) }, legend: { title: null } },
            strokeDash: { field: "name", type: "nominal", sort: null, scale: { ...lookOf, range: drawn.map((each) => DASH[each[3]]) }, legend: { title: null } },
          },
        },
        ...(scene.price === null && scene.parent !== null ? [{ data: { values: [{ p: scene.flow }] }, mark: { type: "rule", strokeDash: [2, 2], color: degsim.color("ink") }, encoding: { y: { value: 0 }, y2: { value: "height" } } }] : []),
        { data: { values: point }, mark: { type: "point", filled: true, size: 120, color: degsim.color("ink"), stroke: degsim.color("paper"), strokeWidth: 1.5, opacity: 1 }, encoding: { tooltip: [{ field: "p", title: "cleared, kW", format: ",.3f" }, { field: "v", title: unit, format: ".5f" }] } },
      ],
    };
  };

  const show = async () => {
    const scene = current();
    box.hidden = !scene;
    none.hidden = Boolean(scene);
    none.textContent = "This run has no clearing in this interval.";
    said.textContent = scene ? claim(scene) + remarks(scene) : "";
    if (!scene) return;
    if (chart) chart.redraw();
    else chart = await (starting ??= degsim.chart(box, spec, { label: () => `Clearing diagram. ${said.textContent}` }));
  };
  let starting = null;

  return { update: (wanted) => { interval = wanted; return show(); } };
};
