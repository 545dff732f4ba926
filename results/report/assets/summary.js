"use strict";

degsim.section("summary", async (element) => {
  const { text } = await degsim.data("summary");
  element.append(degsim.element("pre", { text, tabindex: 0 }));
});
