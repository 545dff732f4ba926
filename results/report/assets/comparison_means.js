"use strict";

degsim.section("means", async (element) => {
  const [model, { headline }] = await Promise.all([comparison.model(), degsim.data("means")]);
  const h = degsim.element;
  const sets = {
    headline: ["headline metrics", (_, place) => headline.includes(place)],
    differ: ["all that differ between runs", (metric) => metric.differ],
    all: ["all metrics", () => true],
  };
  const shows = {
    mean: ["mean ± half of its 95 % interval", (row) => row[2], (row, digits) => mean(row, digits)],
    median: ["median", (row) => row[5], (row, digits) => degsim.number(row[5], digits)],
    deviation: ["standard deviation over the seeds", (row) => row[4], (row, digits) => degsim.number(row[4], digits)],
    worst: ["worst value (seed)", (row) => row[6], (row, digits) => worst(row, digits)],
    seeds: ["seeds with a value", (row) => row[0], (row) => degsim.count(row[0])],
  };
  const state = { set: headline.length ? "headline" : "all", show: "mean" };
  const mean = (row, digits) =>
    degsim.number(row[2], digits) + (row[3] === null ? "" : ` ± ${degsim.number(row[3], digits)}`);
  const worst = (row, digits) => degsim.number(row[6], digits) + (row[7] === null ? "" : ` (${row[7]})`);

  const table = h("div");
  const draw = () => {
    const [title, value, show] = shows[state.show];
    const chosen = model.metrics.map((metric, place) => ({ metric, place })).filter(({ metric, place }) => sets[state.set][1](metric, place));
    const columns = chosen.map(({ metric, place }) => ({
      name: String(place),
      title: metric.name + ({ less: " ↓", more: " ↑" }[metric.better] ?? ""),
      unit: metric.unit, kind: "number",
      value: (variant) => value(model.rows[place][variant]),
      show: (_, variant) => show(model.rows[place][variant], metric.digits),
    }));
    const name = { name: "variant", title: "variant", value: (variant) => model.variants[variant].name };
    degsim.table(table, [name, ...columns], model.variants.map((_, i) => i), {
      caption: `${title}, by variant and metric; ↓ less is better, ↑ more is better`, filter: model.variants.length > 12,
    });
  };
  element.append(
    h("div", { class: "choices" },
      comparison.choice("Metrics", Object.entries(sets).map(([key, [text]]) => [key, text]), state.set, (key) => { state.set = key; draw(); }),
      comparison.choice("Show", Object.entries(shows).map(([key, [text]]) => [key, text]), state.show, (key) => { state.show = key; draw(); })),
    table,
  );
  draw();
  const metrics = h("div");
  element.append(h("h3", { text: "What the metrics are" }), metrics);
  degsim.table(metrics, [
    { name: "name", title: "metric" },
    { name: "unit", title: "unit" },
    { name: "better", title: "better" },
    { name: "summary", title: "definition" },
    { name: "source", title: "source" },
  ], model.metrics, { caption: "Metrics of this comparison", page: 20 });
});
