/* The page's core.  What a section's script may count on:
 *
 *   degsim.section(name, render)       Says how a section is drawn.  `await render(element)` is called once, when the section is
 *                                      first shown.  It may return a function `show(detail)`, which is called every time the
 *                                      reader is brought to the section with a detail (the text after # and the slash).
 *   degsim.go(section, detail)         Brings the reader there: sets the address to #section/detail, which can be bookmarked.
 *   degsim.link(text, section, detail) An <a> that does the same.
 *   await degsim.data(name)            The data that Python gave for this section (JSON; null was NaN, infinite, or None).
 *                                      Decoded once and kept; never change it.
 *   await degsim.bytes("name/blob")    A blob of that section as Uint8Array, as Python gave it.
 *   await degsim.inflate(bytes)        zlib ("deflate") bytes as Uint8Array; a second argument "deflate-raw" for raw ones.
 *   degsim.page                        {title, moments: [RFC 3339 start of each interval], first, details, sections}.
 *   degsim.interval                    The interval of the slider, from 0.
 *   degsim.setInterval(i)              Moves the slider.
 *   degsim.onInterval(fn)              Calls fn(interval) now and after every move, as long as the page is open; moves that
 *                                      come faster than the screen are folded into one.
 *   degsim.moment(i)                   "Tue 17 May 11:30", the local start of an interval.
 *   degsim.onTheme(fn)                 Calls fn() now and whenever light changes to dark or back.
 *   degsim.color(name)                 A colour of the present theme by its CSS name: "ink", "muted", "faint", "paper", "blue",
 *                                      "vermillion", "green", "orange", "purple", "sky" ...
 *   degsim.element(tag, props, ...children)  A new element.  Children are nodes or text (null is left out).  Props are
 *                                      attributes; `class`, `text` and `on: {click: fn}` as one expects.
 *   degsim.svg(tag, attributes, ...children) The same for SVG.
 *   degsim.leaveTo(dialog, place)      Where the keyboard is after a dialog that nothing on the page had opened.
 *
 * format.js:  degsim.number(x, digits), .signed(x, digits), .percent(share, digits), .count(n), .decimal(text) (money as exact
 *             text with separators).  Null, undefined and NaN are written as an en dash.
 * table.js:   degsim.table(element, columns, rows, options), see there.
 * chart.js:   await degsim.chart(element, spec, options), see there.
 *
 * Rules.  Names come from files that anybody wrote: text enters the page as text (textContent, degsim.element), never as markup.
 * Everything is reached with the Tab key and works with Enter; what moves with the mouse moves with arrows.
 */
"use strict";

const degsim = (() => {
  const renders = new Map();
  const shows = new Map();
  const kept = new Map();
  const intervalListeners = [];
  const themeListeners = [];
  let scheduled = false;
  let shown = "";

  const self = { page: { moments: [], sections: [], details: {} }, interval: 0 };

  // --- data -----------------------------------------------------------------------------------------------------------

  self.bytes = async (name) => {
    const block = document.getElementById(`data:${name}`);
    if (!block) throw new Error(`this page holds no data of the name ${name}`);
    const text = atob(block.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return bytes;
  };

  self.inflate = async (bytes, format = "deflate") => {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const decoded = async (name) => JSON.parse(new TextDecoder().decode(await self.inflate(await self.bytes(name))));

  self.data = (name) => {
    if (!kept.has(name)) kept.set(name, decoded(name));
    return kept.get(name);
  };

  // --- elements -------------------------------------------------------------------------------------------------------

  const fill = (node, props, children) => {
    for (const [key, value] of Object.entries(props || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "text") node.textContent = value;
      else if (key === "on") for (const [event, fn] of Object.entries(value)) node.addEventListener(event, fn);
      else node.setAttribute(key, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  };
  self.element = (tag, props, ...children) => fill(document.createElement(tag), props, children);
  self.svg = (tag, props, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

  // Whoever came to a dialog by an address had no place on the page yet.
  self.leaveTo = (dialog, place) => dialog.addEventListener("close", () => {
    const at = document.activeElement;
    if (at === document.body || dialog.contains(at)) place.focus({ preventScroll: true });
  });

  // --- sections -------------------------------------------------------------------------------------------------------

  self.section = (name, render) => renders.set(name, render);

  const address = (section, detail) =>
    `#${section}${detail === undefined || detail === null || detail === "" ? "" : `/${encodeURIComponent(detail)}`}`;

  self.go = (section, detail) => {
    const wanted = address(section, detail);
    if (location.hash === wanted) arrive(true);
    else location.hash = wanted;
  };

  self.link = (text, section, detail) => self.element("a", { href: address(section, detail), text });

  // An address that somebody typed may be no code of anything.
  const unescaped = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };

  const asked = () => {
    const [name, ...rest] = location.hash.slice(1).split("/");
    const known = self.page.sections.some((section) => section.name === name);
    return { name: known ? name : self.page.sections[0]?.name, detail: unescaped(rest.join("/")) };
  };

  const rendered = async (name) => {
    if (!shows.has(name)) {
      const body = document.querySelector(`#${CSS.escape(name)} > .body`);
      shows.set(name, Promise.resolve(renders.get(name)?.(body)).catch((error) => failed(body, error)));
    }
    return shows.get(name);
  };

  const failed = (body, error) => {
    body.replaceChildren(self.element("p", { class: "note", role: "alert", text: `This part cannot be drawn: ${error.message}` }));
    console.error(error);
  };

  const arrive = async (byReader) => {
    const { name, detail } = asked();
    const moved = name !== shown;
    shown = name;
    // A dialog belongs to the address it was opened at: left open in a hidden section, it would lock the page unseen.
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    for (const section of self.page.sections) {
      document.getElementById(section.name).hidden = section.name !== name;
      const link = document.querySelector(`nav a[href="#${CSS.escape(section.name)}"]`);
      if (section.name === name) {
        link.setAttribute("aria-current", "page");
        // On a phone the links are wider than the page.
        const bar = link.parentElement;
        bar.scrollLeft = link.offsetLeft - bar.offsetLeft - (bar.clientWidth - link.offsetWidth) / 2;
      } else link.removeAttribute("aria-current");
    }
    const timed = self.page.sections.find((section) => section.name === name)?.timed;
    document.getElementById("slider").hidden = !(timed && self.page.moments.length > 1);
    if (moved && byReader) {
      document.getElementById(`${name}-heading`).focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    const show = await rendered(name);
    document.getElementById(name).dataset.ready = "yes";
    if (typeof show === "function" && detail) await show(detail);
    // Whoever was hidden when the slider moved may have stood still.
    self.setInterval(self.interval);
  };

  // --- time -----------------------------------------------------------------------------------------------------------

  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  self.moment = (interval) => {
    // The offset is cut off: what the page shows is the clock on the wall where the run was.
    const local = new Date(`${self.page.moments[interval].slice(0, 19)}Z`);
    return `${DAYS[local.getUTCDay()]} ${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${local.toISOString().slice(11, 16)}`;
  };

  const told = () => {
    scheduled = false;
    for (const fn of intervalListeners) fn(self.interval);
  };

  self.setInterval = (wanted) => {
    const most = Math.max(0, self.page.moments.length - 1);
    // What is no number moves nothing.
    if (Number.isFinite(wanted)) self.interval = Math.min(most, Math.max(0, Math.round(wanted)));
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(told);
    }
  };

  self.onInterval = (fn) => {
    intervalListeners.push(fn);
    fn(self.interval);
  };

  const buildSlider = () => {
    const range = self.element("input", {
      type: "range", id: "interval", min: 0, max: Math.max(0, self.page.moments.length - 1), value: 0, step: 1,
      on: { input: () => self.setInterval(Number(range.value)) },
    });
    const output = self.element("output", { for: "interval", id: "moment-text" });
    const step = (text, label, by) =>
      self.element("button", { type: "button", "aria-label": label, text, on: { click: () => self.setInterval(self.interval + by) } });
    document.getElementById("slider").append(
      self.element("label", { for: "interval", text: "Interval" }),
      step("‹", "One interval back", -1), range, step("›", "One interval on", 1), output,
    );
    self.onInterval((interval) => {
      if (!self.page.moments.length) return;
      range.value = interval;
      output.textContent = `${self.moment(interval)} · interval ${interval} of 0–${self.page.moments.length - 1}`;
      range.setAttribute("aria-valuetext", self.moment(interval));
    });
  };

  // --- theme ----------------------------------------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let beforePrint = false;

  self.isDark = () => document.documentElement.dataset.theme === "dark";

  self.color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  self.onTheme = (fn) => {
    themeListeners.push(fn);
    fn();
  };

  const themed = (isDark) => {
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    document.getElementById("theme").textContent = self.isDark() ? "Light" : "Dark";
    document.getElementById("theme").setAttribute("aria-label", self.isDark() ? "Switch to light" : "Switch to dark");
    for (const fn of themeListeners) fn();
  };

  const buildTheme = () => {
    document.getElementById("theme").addEventListener("click", () => {
      themed(!self.isDark());
    });
    dark.addEventListener("change", () => themed(dark.matches));
    // Paper is light, whatever the screen is.
    addEventListener("beforeprint", () => { beforePrint = self.isDark(); if (beforePrint) themed(false); });
    addEventListener("afterprint", () => { if (beforePrint) themed(true); });
    themed(dark.matches);
  };

  // --- start ----------------------------------------------------------------------------------------------------------

  const start = async () => {
    buildTheme();
    const opening = document.getElementById("opening");
    try {
      if (typeof DecompressionStream === "undefined") throw new Error("it takes one of 2023 or later");
      self.page = await self.data("page");
    } catch (error) {
      opening.setAttribute("role", "alert");
      opening.textContent = `This browser cannot open the page: ${error.message}.`;
      return;
    }
    opening.remove();
    self.interval = self.page.first;
    buildSlider();
    addEventListener("hashchange", () => arrive(true));
    await arrive(false);
    document.documentElement.dataset.ready = "yes";
  };

  document.addEventListener("DOMContentLoaded", start);
  return self;
})();
