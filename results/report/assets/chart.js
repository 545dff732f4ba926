/* await degsim.chart(element, spec, options): a Vega-Lite chart in the colours of the page, drawn anew when the theme or the
 * width changes.
 *
 * spec: a Vega-Lite specification, or a function (width in px) that returns one; it is called for every drawing, when
 *       degsim.color(...) is current.  Width follows the element unless the spec has one.
 * options: {label: what the chart shows, in a sentence, or a function that says it (required; screen readers read it),
 *           at: true where the spec has a parameter "at" that follows the slider's interval,
 *           onClick: (datum) => ... for a click on a mark, onDraw: () => ... after every drawing}
 * Tooltips are what the spec's tooltip encodings say.
 * Returns {view(): the Vega view, signal(name, value), data(name, rows), redraw()}: values set through these survive a new theme.
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

  const config = (width) => {
    const [ink, muted, faint] = ["ink", "muted", "faint"].map(degsim.color);
    const looks = ["blue", "vermillion", "green", "orange", "purple", "sky"].map(degsim.color);
    return {
      background: null, font: getComputedStyle(document.body).fontFamily, padding: 2,
      view: { stroke: null },
      axis: { labelColor: muted, titleColor: ink, gridColor: faint, domainColor: muted, tickColor: muted, titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
      legend: { labelColor: ink, titleColor: ink, titleFontWeight: "normal", orient: "top", labelFontSize: 12, labelLimit: 180, symbolStrokeWidth: 2, symbolSize: 300, columns: Math.max(1, Math.floor(width / 190)) },
      title: { color: ink, anchor: "start", fontSize: 13, fontWeight: 600 },
      header: { labelColor: ink, titleColor: ink },
      text: { color: ink }, rule: { color: muted },
      range: { category: looks },
    };
  };

  // --- what the pointer is over -------------------------------------------------------------------------------------------

  let tip = null;

  const showTip = (event, value) => {
    tip ??= document.body.appendChild(degsim.element("div", { class: "tip", hidden: true }));
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.replaceChildren(degsim.element("dl", {}, pairs.map(([name, text]) =>
      [degsim.element("dt", { text: name }), degsim.element("dd", { text: text })])));
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
  };

  degsim.chart = async (element, spec, options = {}) => {
    library ??= loaded();
    await library;
    const signals = new Map();
    const tables = new Map();
    let view = null;
    let finalize = null;
    let drawing = null;
    let again = false;
    element.classList.add("chart");

    const drawOnce = async () => {
      const width = element.clientWidth || 600;
      const wanted = typeof spec === "function" ? spec(width) : spec;
      // Axes and legends stand within the width.
      const full = { width: width - 6, autosize: { type: "fit", contains: "padding" }, ...wanted };
      finalize?.();
      const embedded = await vegaEmbed(element, full, {
        mode: "vega-lite", renderer: "svg", config: config(width), actions: false, defaultStyle: false, hover: true,
        tooltip: (_, event, item, value) => showTip(event, value),
      });
      view = embedded.view;
      finalize = () => embedded.finalize();
      if (options.onClick) view.addEventListener("click", (_, item) => { if (item?.datum) options.onClick(item.datum); });
      for (const [name, rows] of tables) view.data(name, rows);
      for (const [name, value] of signals) view.signal(name, value);
      await view.runAsync();
      // Vega calls its own drawing a document of graphics with a hundred parts; the element says what it is.
      element.querySelector("svg")?.setAttribute("aria-hidden", "true");
      element.removeAttribute("aria-roledescription");
      element.setAttribute("role", "img");
      options.onDraw?.();
      element.setAttribute("aria-label", typeof options.label === "function" ? options.label() : options.label ?? "chart");
    };

    const drawAll = async () => {
      do {
        again = false;
        await drawOnce();
      } while (again);
      drawing = null;
    };

    // What is asked for while a drawing is under way is drawn once, after it.
    const redraw = () => {
      if (drawing) again = true;
      else drawing = drawAll();
      return drawing;
    };

    const set = (keep, method) => (name, value) => {
      keep.set(name, value);
      if (!drawing) view[method](name, value).runAsync();
      else again = true;
    };

    await redraw();
    let isFirst = true;
    degsim.onTheme(() => { if (isFirst) isFirst = false; else redraw(); });
    let width = element.clientWidth;
    new ResizeObserver(() => {
      if (element.clientWidth && Math.abs(element.clientWidth - width) > 1) {
        width = element.clientWidth;
        redraw();
      }
    }).observe(element);
    const handle = { view: () => view, signal: set(signals, "signal"), data: set(tables, "data"), redraw };
    if (options.at) degsim.onInterval((interval) => handle.signal("at", interval));
    return handle;
  };
})();
