"use strict";

degsim.section("sweep", async (element) => {
  const [model, data] = await Promise.all([comparison.model(), degsim.data("sweep")]);
  const h = degsim.element;
  const PANELS = 24;
  // Along the axis with the most numbers; policies are lines where anything else can be the axis.
  const rank = (axis) => [axis.numeric, !axis.policy, axis.values.length];
  const order = (a, b) => { const [x, y] = [rank(a), rank(b)]; const i = x.findIndex((v, k) => v !== y[k]); return i < 0 ? 0 : y[i] - x[i]; };
  const ranked = [...data.axes].sort(order);
  const policy = data.axes.find((axis) => axis.policy);
  const state = { metric: data.headline[0] ?? 0, along: ranked[0].path, lines: (policy && policy !== ranked[0] ? policy : ranked[1])?.path ?? "" };
  const axisOf = (path) => data.axes.find((axis) => axis.path === path);
  const rest = () => data.axes.filter(({ path }) => path !== state.along && path !== state.lines).map(({ path }) => path);
  const end = (path) => path.split(".").slice(-2).join(".");
  const panelOf = (variant) => rest().map((path) => `${end(path)} ${variant.axes[path] ?? "–"}`).join(", ");

  const rows = () => model.variants.flatMap((variant, i) => {
    const found = model.rows[state.metric][i];
    if (!(state.along in variant.axes)) return [];
    return [{
      i, name: variant.name, at: axisOf(state.along).numeric ? Number(variant.axes[state.along]) : variant.axes[state.along],
      line: state.lines ? variant.axes[state.lines] ?? "–" : "mean", panel: panelOf(variant), mean: found[2],
      low: found[3] === null ? null : found[2] - found[3], high: found[3] === null ? null : found[2] + found[3],
    }];
  });

  const spec = () => {
    const metric = model.metrics[state.metric];
    const axis = axisOf(state.along);
    const all = rows();
    const panels = [...new Set(all.map(({ panel }) => panel))].slice(0, PANELS);
    const lines = [...new Set(all.map(({ line }) => line))];
    const kept = all.filter(({ panel, mean }) => panels.includes(panel) && mean !== null);
    const x = { field: "at", type: axis.numeric ? "quantitative" : "nominal", title: axis.path, sort: axis.values, scale: axis.numeric ? { zero: false } : undefined, axis: axis.numeric ? { values: axis.values.map(Number), grid: false } : { labelAngle: -30 } };
    const y = { type: "quantitative", title: comparison.named(metric), scale: { zero: false } };
    const color = { field: "line", type: "nominal", sort: lines, title: state.lines ? end(state.lines) : null, scale: { domain: lines }, legend: state.lines ? comparison.legend(chart) : null };
    // With one domain and title the legends of colour, dashes and shape are one.
    const [dash, shape] = [{ ...color }, { ...color }];
    const tooltip = [{ field: "name", title: "variant" }, { field: "mean", format: `,.${metric.digits}f` }, { field: "low", title: "95 % from", format: `,.${metric.digits}f` }, { field: "high", title: "to", format: `,.${metric.digits}f` }];
    const columns = panels.length < 2 || chart.clientWidth < 600 ? 1 : 2;
    const width = Math.max(140, Math.floor((chart.clientWidth - 30) / columns) - 90);
    const banded = axis.numeric
      ? { mark: { type: "area", opacity: 0.16 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color } }
      : { mark: { type: "rule", strokeWidth: 1.6 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, xOffset: { field: "line" } } };
    const offset = axis.numeric ? {} : { xOffset: { field: "line" } };
    const layer = [
      banded,
      ...(axis.numeric ? [{ mark: { type: "line", strokeWidth: 2 }, encoding: { x, y: { ...y, field: "mean" }, color, strokeDash: dash } }] : []),
      { mark: { type: "point", filled: true, size: 50, opacity: 1 }, encoding: { x, y: { ...y, field: "mean" }, color, ...offset, shape, tooltip } },
    ];
    const shared = { data: { values: kept } };
    if (panels.length < 2) return { ...shared, height: 300, layer };
    return {
      ...shared, width: undefined, autosize: { type: "pad" }, columns,
      facet: { field: "panel", type: "nominal", title: null, sort: panels, header: { labelLimit: width } },
      spec: { width, height: 170, layer },
    };
  };

  const about = h("div");
  const chart = h("div", { id: "sweep-chart" });
  const table = h("div");
  const fill = () => {
    const metric = model.metrics[state.metric];
    about.replaceChildren(comparison.about(metric));
    const number = (name, title) => ({ name, title, unit: metric.unit, kind: "number", digits: metric.digits });
    degsim.table(table, [
      { name: "name", title: "variant" },
      ...data.axes.map(({ path }) => ({ name: path, title: path, value: (row) => model.variants[row.i].axes[path] ?? null })),
      number("mean", "mean"), number("low", "95 % from"), number("high", "to"),
    ], rows(), { caption: `Means of ${comparison.named(metric)} over the grid` });
  };
  const paths = data.axes.map(({ path }) => [path, path]);
  const choices = h("div", { class: "choices" });
  const build = () => choices.replaceChildren(
    comparison.metrics(model, "Metric", state.metric, (place) => { state.metric = place; redraw(); }, { headline: data.headline }),
    comparison.choice("Along", paths, state.along, (path) => {
      if (path === state.lines) state.lines = state.along;
      state.along = path;
      build();
      redraw();
    }),
    ...(paths.length < 2 ? [] : [comparison.choice("Lines", [...paths.filter(([path]) => path !== state.along), ["", "one for all"]], state.lines, (path) => { state.lines = path; redraw(); })]),
  );
  const redraw = async () => { fill(); await drawn.redraw(); };
  build();
  element.append(choices, about, chart, h("p", { class: "about", text: "Means over the seeds with their 95 % intervals; what is neither along the axis nor a line has a panel of its own." }), table);
  fill();
  const drawn = await degsim.chart(chart, spec, { label: "A metric along an axis of the grid; the table below has the numbers" });
});
