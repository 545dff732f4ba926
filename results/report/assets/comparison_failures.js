"use strict";

degsim.section("failures", async (element) => {
  const { rows } = await degsim.data("failures");
  degsim.table(element, [
    { name: "what", title: "what" },
    { name: "variant", title: "variant" },
    { name: "seed", title: "seed", kind: "number", show: String },
    { name: "reason", title: "why" },
    { name: "command", title: "run it again", show: comparison.command },
  ], rows, { caption: "Failed runs are in no mean; notes tell what else went wrong in runs that are" });
});
