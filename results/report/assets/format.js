/* How numbers are written: separators in groups of three, a real minus, an en dash for what is not known. */
"use strict";

(() => {
  const forms = new Map();
  const form = (digits) => {
    if (!forms.has(digits)) {
      forms.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
    }
    return forms.get(digits);
  };
  const isKnown = (x) => x !== null && x !== undefined && !Number.isNaN(x);

  degsim.number = (x, digits = 1) => {
    if (!isKnown(x)) return "–";
    const text = form(digits).format(Math.abs(x));
    // What rounds to zero has no sign.
    return x < 0 && /[1-9]/.test(text) ? `−${text}` : text;
  };

  degsim.signed = (x, digits = 1) => {
    const text = degsim.number(x, digits);
    return isKnown(x) && !text.startsWith("−") && /[1-9]/.test(text) ? `+${text}` : text;
  };

  degsim.percent = (share, digits = 1) => (isKnown(share) ? `${degsim.number(100 * share, digits)} %` : "–");

  degsim.count = (n) => degsim.number(n, 0);

  degsim.decimal = (text) => {
    if (!isKnown(text)) return "–";
    const [whole, part] = String(text).replace("-", "").split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    // Zeros beyond the second decimal say nothing.
    const decimals = part === undefined ? "" : `.${part.replace(/0+$/, "").padEnd(Math.min(2, part.length), "0")}`;
    return `${String(text).startsWith("-") ? "−" : ""}${grouped}${decimals}`;
  };
})();
