/* What the sections of a comparison have in common; the overview's data is the model of all of them.
 *
 * await comparison.model()                 Variants, seeds, metrics, values and statistics by place; see sections_of_comparison.
 * comparison.choice(label, options, chosen, onChange)  A labelled <select>; options are [[value, text]] or [[group, [[...]]]].
 * comparison.metrics(model, label, chosen, onChange, {all})  The same over metrics, those that differ between runs first.
 * comparison.named(metric)                 "regret [EUR]".
 * comparison.better(metric)                "less is better", or "".
 * comparison.command(text)                 A command line with a button that copies it.
 * comparison.short(name, room)             A name cut in its middle: names that belong together differ at their ends.
 * comparison.legend(element, columns)      How a chart's legend stands; on a narrow page one line for each entry.
 * comparison.about(metric)                 A paragraph with what a metric is and where its formula is from.
 */
"use strict";

const comparison = (() => {
  const h = degsim.element;
  const self = {};
  let made = 0;

  self.model = () => degsim.data("overview");

  const option = ([value, text], chosen) => h("option", { value, selected: String(value) === String(chosen), text });

  self.choice = (label, options, chosen, onChange) => {
    const entries = options.map(([value, text]) =>
      Array.isArray(text) ? h("optgroup", { label: value }, text.map((one) => option(one, chosen))) : option([value, text], chosen));
    const id = `choice-${(made += 1)}`;
    const select = h("select", { id, on: { change: () => onChange(select.value) } }, entries);
    return h("div", {}, h("label", { for: id, text: label }), select);
  };

  self.metrics = (model, label, chosen, onChange, { headline = [], most = Infinity } = {}) => {
    const places = model.metrics.map((_, place) => place).filter((place) => place < most);
    const one = (place) => [place, self.named(model.metrics[place])];
    const groups = [
      ["headline", places.filter((place) => headline.includes(place))],
      ["others that differ", places.filter((place) => !headline.includes(place) && model.metrics[place].differ)],
      ["the same in all runs", places.filter((place) => !headline.includes(place) && !model.metrics[place].differ)],
    ].filter(([, found]) => found.length);
    return self.choice(label, groups.map(([name, found]) => [name, found.map(one)]), chosen, (value) => onChange(Number(value)));
  };

  self.legend = (element, columns = 4) => ({ columns: element.clientWidth < 500 ? 1 : columns, symbolOpacity: 1, symbolSize: 90, labelFontSize: 12, labelLimit: 320 });
  self.named = (metric) => (metric.unit ? `${metric.name} [${metric.unit}]` : metric.name);
  self.better = (metric) => (metric.better ? `${metric.better} is better` : "");

  self.about = (metric) =>
    h("p", { class: "about" }, [`${metric.name}: ${metric.summary}`, metric.source, self.better(metric)].filter(Boolean).join(" · "));

  self.command = (text) => {
    const button = h("button", { type: "button", text: "Copy", "aria-label": `Copy: ${text}` });
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        // Without the clipboard, which a browser may refuse, the text is selected for the reader to copy.
        getSelection().selectAllChildren(button.previousSibling);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    return h("span", { class: "command" }, h("code", { text }), button);
  };

  self.short = (name, room) => {
    if (name.length <= room) return name;
    const head = Math.floor((room - 1) / 2);
    return `${name.slice(0, head)}…${name.slice(name.length - (room - 1 - head))}`;
  };

  /* Names that fit on a chart of this element, still apart; a number is added where nothing else tells them apart. */
  self.labels = (model, element) => {
    const room = element.clientWidth < 500 ? 16 : 34;
    const cut = model.variants.map((variant) => self.short(variant.name, room));
    return cut.map((label, i) => (cut.indexOf(label) === i ? label : `${self.short(model.variants[i].name, room - 4)} (${i + 1})`));
  };

  return self;
})();
