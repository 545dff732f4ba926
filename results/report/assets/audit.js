/* Each invariant of the audit, what was looked at, and what was found. */
"use strict";

degsim.section("audit", async (element) => {
  const h = degsim.element;
  const data = await degsim.data("audit");
  if (data.findings === null) {
    element.append(h("p", { class: "verdict", text: "This run was stopped; only a finished run is audited." }));
    return;
  }
  const count = data.findings === 1 ? "1 finding" : `${degsim.count(data.findings)} findings`;
  element.append(
    h("p", { class: data.findings ? "verdict bad" : "verdict", text: data.findings ? count : "Sound: no findings." }),
    h("p", { class: "muted", text: "Everything was recomputed from the folder of the run when this page was made." }),
  );
  const box = h("div");
  element.append(box);
  const columns = [
    { name: "name", title: "Invariant" },
    { title: "Verdict", value: (row) => (row.findings ? `${degsim.count(row.findings)} found` : "ok") },
    { name: "description", title: "What holds in every sound run", wide: true },
    { name: "checked", title: "Looked at", wide: true },
  ];
  degsim.table(box, columns, data.invariants, { caption: "Invariants", quiet: true, filter: false });
  const faults = data.invariants.flatMap((each) => each.faults.map(([where, what, remedy]) => ({ invariant: each.name, where, what, remedy })));
  if (!faults.length) return;
  const list = h("div");
  element.append(h("h3", { text: "Findings" }), list);
  degsim.table(list, [
    { name: "invariant", title: "Invariant" }, { name: "where", title: "Where" },
    { name: "what", title: "What", wide: true }, { name: "remedy", title: "Remedy" }], faults, { caption: "Findings of the audit", quiet: true });
  if (faults.length < data.findings) {
    element.append(h("p", { class: "note", text: `${degsim.count(data.findings - faults.length)} more are told by degsim verify.` }));
  }
});
