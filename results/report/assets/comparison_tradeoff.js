"use strict";

degsim.section("tradeoff", async (element) => {
  const [model, data] = await Promise.all([comparison.model(), degsim.data("tradeoff")]);
  const h = degsim.element;
  const state = { across: data.across, up: data.up };
  const HEIGHT = 420;
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

  /* Names beside their points, moved up or down until they are clear of each other; layers of those that moved alike.  Those
   * that are beaten by no other come first, and a name without room is left to the tooltip and the table. */
  const placed = (rows, seeds) => {
    const extent = (key, ends) => {
      const values = [...rows.flatMap((row) => ends.map((end) => row[end])), ...seeds.map((seed) => seed[key])];
      return [Math.min(...values), Math.max(...values)];
    };
    const [[x0, x1], [y0, y1]] = [extent("x", ["left", "right"]), extent("y", ["below", "above"])];
    const at = (value, low, high, length) => (high > low ? ((value - low) / (high - low)) * length : length / 2);
    const width = chart.clientWidth - 60;
    const taken = [];
    const layers = new Map();
    for (const row of [...rows].sort((a, b) => (a.look === FIRST ? 0 : 1) - (b.look === FIRST ? 0 : 1))) {
      const [px, py] = [at(row.x, x0, x1, width), HEIGHT - 60 - at(row.y, y0, y1, HEIGHT - 60)];
      const long = 6.5 * row.label.length;
      const right = px + long + 10 > width;
      const box = (dy) => ({ left: right ? px - 8 - long : px + 8, right: right ? px - 8 : px + 8 + long, y: py + dy });
      const free = (dy) => taken.every((other) => {
        const own = box(dy);
        return own.right < other.left || own.left > other.right || Math.abs(own.y - other.y) > 12;
      });
      const within = (dy) => py + dy > 6 && py + dy < HEIGHT - 66;
      const dy = [-9, 9, -22, 22, -35, 35, -48, 48, -61, -74].find((one) => within(one) && free(one));
      if (dy === undefined) continue;
      taken.push(box(dy));
      const key = `${dy} ${right}`;
      if (!layers.has(key)) layers.set(key, { dy, right, values: [] });
      layers.get(key).values.push(row);
    }
    return [...layers.values()];
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
    const color = { field: "look", type: "nominal", title: null, scale: { domain: [FIRST, OTHER], range: [degsim.color("blue"), degsim.color("muted")] }, legend: comparison.legend(chart, 1) };
    const bars = (from, to) => ({ mark: { type: "rule", strokeWidth: 1.6 }, encoding: { ...from, ...to, color } });
    const tooltip = [
      { field: "name", title: "variant" },
      { field: "x", title: across.name, format: `,.${across.digits}f` }, { field: "y", title: up.name, format: `,.${up.digits}f` },
    ];
    return {
      height: HEIGHT, data: { values: rows },
      layer: [
        { data: { values: seeds }, mark: { type: "circle", size: 14, opacity: 0.5 }, encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, color, tooltip: [...tooltip, { field: "seed" }] } },
        bars({ x: { ...x, field: "left" }, x2: { field: "right" } }, { y: { ...y, field: "y" } }),
        bars({ y: { ...y, field: "below" }, y2: { field: "above" } }, { x: { ...x, field: "x" } }),
        {
          mark: { type: "point", filled: true, size: 80, opacity: 1 },
          encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, color, tooltip, shape: { field: "look", type: "nominal", title: null, legend: comparison.legend(chart, 1), scale: { domain: [FIRST, OTHER], range: ["circle", "square"] } } },
        },
        ...placed(rows, seeds).map(({ dy, right, values }) => ({
          data: { values }, mark: { type: "text", align: right ? "right" : "left", dx: right ? -8 : 8, dy, fontSize: 11 },
          encoding: { x: { ...x, field: "x" }, y: { ...y, field: "y" }, text: { field: "label" } },
        })),
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
