/* await degsim.chart(element, spec, options): a Vega-Lite chart in the colours of the page, drawn anew when the theme or the
 * width changes.
 *
 * spec: a Vega-Lite specification, or a function that returns one (called at each theme; degsim.color(...) is current then).
 *       Width follows the element unless the spec has one.
 * options: {label: what the chart shows, in a sentence (required; screen readers read it), at: true where the spec has a
 *           parameter "at" that follows the slider's interval}
 * Returns {view(): the Vega view, signal(name, value), data(name, rows)}: values set through these survive a new theme.
 * `await redraw()` asks the function for its specification again, where what it shows was chosen anew.
 */
"use strict";

(() => {
  let library = null;

  const loaded = async () => {
    const script = document.createElement("script");
    script.src = URL.createObjectURL(new Blob([await degsim.inflate(await degsim.bytes("vega"))], { type: "text/javascript" }));
    await new Promise((done, fail) => {
      script.onload = done;
      script.onerror = () => fail(new Error("the chart library does not load"));
      document.head.append(script);
    });
    URL.revokeObjectURL(script.src);
  };

  const config = () => {
    const [ink, muted, faint] = ["ink", "muted", "faint"].map(degsim.color);
    const looks = ["blue", "vermillion", "green", "orange", "purple", "sky"].map(degsim.color);
    return {
      background: null, font: "inherit", padding: 2,
      view: { stroke: null },
      axis: { labelColor: muted, titleColor: ink, gridColor: faint, domainColor: muted, tickColor: muted, titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
      legend: { labelColor: ink, titleColor: ink, titleFontWeight: "normal", orient: "top", symbolStrokeWidth: 2, labelLimit: 220, columns: 3 },
      title: { color: ink, anchor: "start", fontSize: 13, fontWeight: 600 },
      header: { labelColor: ink, titleColor: ink },
      text: { color: ink }, rule: { color: muted }, mark: { color: looks[0] },
      range: { category: looks },
    };
  };

  degsim.chart = async (element, spec, options = {}) => {
    library ??= loaded();
    await library;
    const signals = new Map();
    const tables = new Map();
    let view = null;
    element.classList.add("chart");
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", options.label ?? "chart");

    const draw = async () => {
      const wanted = typeof spec === "function" ? spec() : spec;
      const full = { width: "container", ...wanted };
      const compiled = vegaLite.compile(full, { config: config() }).spec;
      view?.finalize();
      view = new vega.View(vega.parse(compiled), { renderer: "svg", container: element, hover: true });
      for (const [name, rows] of tables) view.data(name, rows);
      for (const [name, value] of signals) view.signal(name, value);
      await view.runAsync();
    };
    const set = (keep, method) => (name, value) => {
      keep.set(name, value);
      view[method](name, value).runAsync();
    };
    await draw();
    let first = true;
    degsim.onTheme(() => { if (first) first = false; else draw(); });
    let width = element.clientWidth;
    new ResizeObserver(() => {
      if (element.clientWidth && Math.abs(element.clientWidth - width) > 1) { width = element.clientWidth; draw(); }
    }).observe(element);
    const handle = { view: () => view, signal: set(signals, "signal"), data: set(tables, "data"), redraw: draw };
    if (options.at) degsim.onInterval((interval) => handle.signal("at", interval));
    return handle;
  };
})();
