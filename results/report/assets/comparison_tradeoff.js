"use strict";

degsim.section("tradeoff", async (element) => {
  const [model, data] = await Promise.all([comparison.model(), degsim.data("tradeoff")]);
  const h = degsim.element;
  const state = { across: data.across, up: data.up };
  const FIRST = "beaten by no other in both";
  const OTHER = "another is at least as good in both";

  const points = () => {
    const found = model.variants.map((variant, i) => {
      const [x, y] = [model.rows[state.across][i], model.rows[state.up][i]];
      return { name: variant.name, i, x: x[2], y: y[2], xs: x, ys: y };
    }).filter(({ x, y }) => x !== null && y !== null);
    const [signX, signY] = [model.metrics[state.across].sign || 1, model.metrics[state.up].sign || 1];
    // What only rounding tells apart is the same; as in results.comparison.statistics.
    const ahead = (a, b, sign) => (Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b)) ? 0 : sign * (a - b));
    const beats = (a, b) => {
      const [dx, dy] = [ahead(a.x, b.x, signX), ahead(a.y, b.y, signY)];
      return (dx !== 0 || dy !== 0) && dx >= 0 && dy >= 0;
    };
    for (const point of found) point.look = found.some((other) => beats(other, point)) ? OTHER : FIRST;
    return found;
  };

  const spec = () => {
    const [across, up] = [model.metrics[state.across], model.metrics[state.up]];
    const labels = comparison.labels(model, chart);
    const rows = points().map((point) => ({
      ...point, label: labels[point.i],
      left: point.x - (point.xs[3] ?? 0), right: point.x + (point.xs[3] ?? 0), below: point.y - (point.ys[3] ?? 0), above: point.y + (point.ys[3] ?? 0),
    }));
    const values = [model.values[state.across], model.values[state.up]];
    const seeds = values[0] && values[1]
      ? rows.flatMap(({ i, look, name }) => model.seeds.map((seed, s) => ({ x: values[0][i][s], y: values[1][i][s], look, name, seed })))
        .filter(({ x, y }) => x !== null && y !== null)
      : [];
    const titled = (metric) => [comparison.named(metric), comparison.better(metric)].filter(Boolean).join(", ");
    const x = { type: "quantitative", title: titled(across), scale: { zero: false, nice: true } };
    const y = { type: "quantitative", title: titled(up), scale: { zero: false, nice: true } };
    const color = { field: "look", type: "nominal", title: null, scale: { domain: [FIRST, OTHER], range: [degsim.color("blue"), degsim.color("muted")] }, legend: { columns: 1, labelLimit: 300 } };
    const bars = (from, to) => ({ mark: { type: "rule", strokeWidth: 1.6 }, encoding: { ...from, ...to, color: { ...color, legend: null } } });
    const tooltip = [
      { field: "name", title: "variant" },
      { field: "x", title: across.name, format: `,.${across.digits}f` }, { field: "y", title: up.name, format: `,.${up.digits}f` },
    ];
    return {
      height: 420, data: { values: rows },
      layer: [
        { data: { values: seeds }, mark: { type: "circle", size: 14, opacity: 0.5 }, encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, color: { ...color, legend: null }, tooltip: [...tooltip, { field: "seed" }] } },
        bars({ x: { ...x, field: "left" }, x2: { field: "right" } }, { y: { ...y, field: "y" } }),
        bars({ y: { ...y, field: "below" }, y2: { field: "above" } }, { x: { ...x, field: "x" } }),
        {
          mark: { type: "point", filled: true, size: 80, opacity: 1 },
          encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, color, tooltip, shape: { field: "look", type: "nominal", title: null, scale: { domain: [FIRST, OTHER], range: ["circle", "square"] } } },
        },
        ...(rows.length <= 24 ? [{
          mark: { type: "text", align: "left", dx: 8, dy: -8, fontSize: 11 },
          encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, text: { field: "label" } },
        }] : []),
      ],
    };
  };

  const chart = h("div", { id: "tradeoff-chart" });
  const table = h("div");
  const fill = () => {
    const [across, up] = [model.metrics[state.across], model.metrics[state.up]];
    const numbers = (metric, key, rows) => [
      { name: key, title: metric.name, unit: metric.unit, kind: "number", digits: metric.digits },
      { name: `${key}half`, title: `± ${metric.name}`, unit: metric.unit, kind: "number", digits: metric.digits, value: (point) => point[rows][3] },
    ];
    degsim.table(table, [{ name: "name", title: "variant" }, ...numbers(across, "x", "xs"), ...numbers(up, "y", "ys"), { name: "look", title: "standing" }],
      points(), { caption: `${across.name} against ${up.name}: means and halves of their 95 % intervals`, filter: model.variants.length > 12 });
  };
  const redraw = async () => { fill(); await drawn.redraw(); };
  const choose = (key, label) => comparison.metrics(model, label, state[key], (place) => { state[key] = place; redraw(); });
  element.append(
    h("div", { class: "choices" }, choose("across", "Across"), choose("up", "Upwards")), chart,
    h("p", { class: "about", text: "Means with 95 % intervals; small dots are single seeds. Where neither more nor less of a metric is better, more is taken to be." }), table,
  );
  fill();
  const drawn = await degsim.chart(chart, spec, { label: "Two metrics against each other, a point for each variant; the table below has the numbers" });
});
