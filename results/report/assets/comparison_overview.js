"use strict";

degsim.section("overview", async (element) => {
  const model = await comparison.model();
  const h = degsim.element;
  const facts = h("dl", { class: "compared" });
  const fact = (name, ...said) => facts.append(h("dt", { text: name }), h("dd", {}, ...said));
  fact("seeds", model.seeds.join(", "));
  if (model.axes.length) fact("what differs", model.axes.join(", "));
  const versions = Object.entries(model.versions).map(([name, version]) => `${name} ${version}`).join(" · ");
  if (versions) fact("made with", versions);
  if (model.lock) fact("lock file", h("code", { text: `sha256:${model.lock}` }));
  if (model.scenario) fact("scenario", download(model), " – the commands on this page run it");
  for (const sentence of model.left) fact("left out", sentence);

  element.append(...model.sentences.map((text) => h("p", { text })), facts, h("h3", { text: "Variants" }));
  const table = h("div");
  element.append(table);
  const wanted = model.seeds.length;
  const told = model.axes.length === 1 && model.variants.every((variant) => variant.axes[model.axes[0]] === variant.name);
  degsim.table(table, [
    { name: "name", title: "variant" },
    ...(told ? [] : model.axes).map((path) => ({ title: path, value: (row) => row.axes[path] ?? null })),
    { name: "baseline", title: "compared with", value: (row) => model.variants[row.baseline].name },
    { name: "done", title: "runs", kind: "number", show: (done) => `${done} of ${wanted}` },
    { name: "paired", title: "same days as its baseline", value: (row) => (row.unpaired.length ? `not on ${row.unpaired.length} seeds` : "yes") },
  ], model.variants, { caption: "Variants and what tells them apart", filter: model.variants.length > 12 });
  const details = h("details", {}, h("summary", { text: "The whole comparison as text" }), h("pre", { text: model.text, tabindex: 0 }));
  element.append(details);

  function download({ scenario, file }) {
    const link = h("a", { href: "#overview", download: file, text: file });
    link.addEventListener("click", () => {
      // JSON is YAML; made when it is asked for, because a browser keeps every such address until it is given up.
      const address = URL.createObjectURL(new Blob([scenario], { type: "application/yaml" }));
      link.href = address;
      setTimeout(() => { URL.revokeObjectURL(address); link.href = "#overview"; }, 1000);
    });
    return link;
  }
});
