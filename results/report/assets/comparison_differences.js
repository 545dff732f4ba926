"use strict";

degsim.section("differences", async (element) => {
  const [model, data] = await Promise.all([comparison.model(), degsim.data("differences")]);
  const h = degsim.element;
  const state = { metric: data.headline[0] ?? 0, baseline: 0 };
  const [AGAINST, PAIRED, PAIRS, DROPPED, MEAN, LOW, HIGH, P, HOLM, BETTER, TOLD] = [...Array(11).keys()];
  const TOLDS = ["not told from 0", "0 lies outside", "0 lies outside, corrected for all"];
  const LOOKS = { better: "better than its baseline", worse: "worse than its baseline", apart: "different", same: "not told from it" };

  const chance = (p) => (p !== null && p < 0.00005 ? "< 0.0001" : degsim.number(p, 4));

  const baseline = () => data.baselines[state.baseline];
  const metric = () => model.metrics[state.metric];
  const row = (variant) => baseline().rows[state.metric][variant];
  const digits = () => baseline().digits[state.metric];
  const compared = () => model.variants.map((_, i) => i).filter((i) => row(i)[AGAINST] !== i);
  const look = (found) => {
    if (found[TOLD] === 0 || found[MEAN] === null) return "same";
    if (!metric().sign) return "apart";
    return found[MEAN] * metric().sign > 0 ? "better" : "worse";
  };

  const seedRows = (labels) => {
    const values = model.values[state.metric];
    if (!values) return [];
    return compared().filter((i) => row(i)[PAIRED]).flatMap((i) => model.seeds.flatMap((seed, s) => {
      const [own, base] = [values[i][s], values[row(i)[AGAINST]][s]];
      return own === null || base === null ? [] : [{ variant: labels[i], seed, difference: own - base }];
    }));
  };

  const spec = () => {
    const labels = comparison.labels(model, chart);
    const colors = { better: degsim.color("blue"), worse: degsim.color("vermillion"), apart: degsim.color("ink"), same: degsim.color("muted") };
    const rows = compared().map((i) => ({
      variant: labels[i], name: model.variants[i].name, mean: row(i)[MEAN], low: row(i)[LOW], high: row(i)[HIGH], look: LOOKS[look(row(i))],
    }));
    const base = [...new Set(compared().map((i) => row(i)[AGAINST]))];
    const title = `${metric().name}: each less ${base.length === 1 ? model.variants[base[0]].name : "its baseline"}`;
    const x = { type: "quantitative", axis: { tickCount: Math.max(3, Math.floor(chart.clientWidth / 110)) }, title: [metric().unit ? `difference [${metric().unit}]` : "difference", { less: "← better", more: "better →" }[metric().better]].filter(Boolean).join(", ") };
    const y = { field: "variant", type: "nominal", sort: rows.map((each) => each.variant), title: null, axis: { labelLimit: 240 } };
    const known = Object.keys(LOOKS).filter((key) => rows.some((each) => each.look === LOOKS[key]));
    const scale = { domain: known.map((key) => LOOKS[key]), range: known.map((key) => colors[key]) };
    const color = { field: "look", type: "nominal", scale, title: null, legend: comparison.legend(chart) };
    const tooltip = [
      { field: "name", title: "variant" }, { field: "mean", title: "mean", format: `,.${digits()}f` },
      { field: "low", title: "95 % from", format: `,.${digits()}f` }, { field: "high", title: "to", format: `,.${digits()}f` },
    ];
    const whole = rows.filter((each) => each.low !== null);
    return {
      title, height: 28 * rows.length + 100 + 20 * (chart.clientWidth < 500 ? known.length : 1), // with title, legend and axis
      layer: [
        { data: { values: [{ zero: 0 }] }, mark: { type: "rule", color: degsim.color("ink") }, encoding: { x: { ...x, field: "zero" } } },
        {
          data: { values: seedRows(labels) },
          mark: { type: "circle", size: 18, opacity: 0.6, color: degsim.color("muted") },
          encoding: {
            x: { ...x, field: "difference" }, y, yOffset: { field: "seed", type: "ordinal", scale: { padding: 1 } },
            tooltip: [{ field: "variant" }, { field: "seed" }, { field: "difference", format: `,.${digits()}f` }],
          },
        },
        {
          data: { values: whole }, mark: { type: "rule", strokeWidth: 2.5 },
          encoding: { x: { ...x, field: "low" }, x2: { field: "high" }, y, color, tooltip },
        },
        {
          data: { values: rows.filter((each) => each.mean !== null) }, mark: { type: "point", filled: true, size: 90, opacity: 1, strokeWidth: 2 },
          encoding: {
            x: { ...x, field: "mean" }, y, tooltip,
            color,
            shape: { field: "look", type: "nominal", title: null, scale: { domain: scale.domain, range: known.map((key) => ({ better: "circle", worse: "square", apart: "diamond", same: "cross" })[key]) } },
          },
        },
      ],
    };
  };

  const about = h("div");
  const remark = h("p", { class: "about", id: "differences-remark" });
  const chart = h("div", { id: "differences-chart" });
  const table = h("div", { id: "differences-table" });
  const seeds = h("div", { id: "differences-seeds" });
  element.append(
    h("div", { class: "choices" },
      comparison.metrics(model, "Metric", state.metric, (place) => { state.metric = place; redraw(); }, { headline: data.headline }),
      comparison.choice("Compared with", data.baselines.map(({ name }, i) => [i, name]), 0, (value) => { state.baseline = Number(value); redraw(); })),
    about, chart, remark, table, h("h3", { text: "Every run" }), seeds,
  );

  const fill = () => {
    about.replaceChildren(comparison.about(metric()));
    remark.textContent = `Mean of the differences with its 95 % interval; dots are single seeds. ` +
      `Corrected for all: Holm's rule over the ${degsim.count(baseline().tests)} differences of this comparison.` +
      (compared().some((i) => !row(i)[PAIRED]) ? " Where days were not the same, intervals are those of two independent samples (Welch), without dots." : "") +
      (model.values[state.metric] ? "" : " This page has no single runs of this metric.");
    const number = (place, title, more = {}) => ({
      name: title, title, kind: "signed", digits: digits(), unit: metric().unit, value: (i) => row(i)[place], ...more,
    });
    degsim.table(table, [
      { name: "variant", title: "variant", value: (i) => model.variants[i].name },
      { name: "against", title: "compared with", value: (i) => model.variants[row(i)[AGAINST]].name },
      number(MEAN, "difference"), number(LOW, "95 % from"), number(HIGH, "to"),
      { name: "told", title: "told apart", value: (i) => (row(i)[MEAN] === null ? null : row(i)[TOLD]), show: (told) => (told === null ? "–" : TOLDS[told]) },
      { name: "p", title: "p", kind: "number", value: (i) => row(i)[P], show: chance },
      { name: "holm", title: "p, corrected", kind: "number", value: (i) => row(i)[HOLM], show: chance },
      { name: "better", title: "seeds that are better", kind: "percent", digits: 0, value: (i) => row(i)[BETTER] },
      { name: "pairs", title: "seeds", kind: "count", value: (i) => row(i)[PAIRS], show: (pairs, i) => pairs + (row(i)[DROPPED] ? ` (${row(i)[DROPPED]} without a value)` : "") },
    ], compared(), { caption: `Differences of ${comparison.named(metric())}`, filter: model.variants.length > 12 });
    const values = model.values[state.metric];
    seeds.hidden = !values;
    if (!values) return;
    degsim.table(seeds, [
      { name: "seed", title: "seed", kind: "count", value: (s) => model.seeds[s] },
      ...model.variants.map((variant, i) => ({ name: String(i), title: variant.name, kind: "number", digits: metric().digits, value: (s) => values[i][s] })),
    ], model.seeds.map((_, s) => s), { caption: `${comparison.named(metric())} of every run, by seed and variant`, filter: false });
  };

  const label = "Differences to the baseline by variant, with intervals; the table below has the numbers";
  fill();
  const drawn = await degsim.chart(chart, spec, { label });
  const redraw = async () => { fill(); await drawn.redraw(); };
});
