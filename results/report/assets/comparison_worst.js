"use strict";

degsim.section("worst", async (element) => {
  const [model, { headline, commands }] = await Promise.all([comparison.model(), degsim.data("worst")]);
  const h = degsim.element;
  const rows = model.metrics.flatMap((metric, place) => model.variants.map((variant, i) => {
    const found = model.rows[place][i];
    return { metric, place, variant: variant.name, value: found[6], seed: found[7], mean: found[2], command: `${commands[i]} ${found[7]}` };
  })).filter(({ seed }) => seed !== null);
  const state = { metric: headline.length ? "headline" : "all" };
  const table = h("div");
  const draw = () => {
    const kept = rows.filter(({ place }) => state.metric === "all" || (state.metric === "headline" ? headline.includes(place) : place === Number(state.metric)));
    const number = (key, title) => ({ name: key, title, kind: "number", show: (value, row) => degsim.number(value, row.metric.digits) });
    degsim.table(table, [
      { name: "variant", title: "variant" },
      { name: "metric", title: "metric", value: (row) => comparison.named(row.metric) },
      number("value", "worst"), { name: "seed", title: "seed", kind: "number", digits: 0, show: String }, number("mean", "mean"),
      { name: "command", title: "run it again", show: comparison.command },
    ], kept, { caption: "The worst seed of each variant; of a metric without a direction, the one farthest from the mean" });
  };
  const metrics = model.metrics.map((metric, place) => [place, comparison.named(metric)]).filter(([place]) => model.metrics[place].differ);
  element.append(
    h("div", { class: "choices" }, comparison.choice("Metrics", [["headline", "headline metrics"], ["all", "all metrics"], ...metrics], state.metric, (value) => { state.metric = value; draw(); })),
    model.scenario ? h("p", { class: "about" }, `Save ${model.file} from the overview first; the commands name it.`) : null, table,
  );
  draw();
});
