"use strict";
// Elements, numbers and tables. All text reaches the page as text nodes; nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, kids) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const kid of kids.flat(Infinity)) {
    if (kid === null || kid === undefined || kid === false) continue;
    node.append(kid instanceof Node ? kid : document.createTextNode(String(kid)));
  }
  return node;
}

const el = (tag, props, ...kids) => fill(document.createElement(tag), props, kids);
const svg = (tag, props, ...kids) => fill(document.createElementNS(SVG, tag), props, kids);

let named = 0;
const freshId = (what) => `${what}-${++named}`;

const MINUS = "\u2212";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const minus = (text) => text.replace("-", MINUS);
const fmt = {
  score: (v) => (known(v) ? v.toFixed(3) : "–"),
  signed: (v) => (known(v) ? (v > 0 ? "+" : "") + minus(v.toFixed(3)) : "–"),
  interval: (low, high) => (known(low) && known(high) ? `[${fmt.score(low)}, ${fmt.score(high)}]` : "–"),
  signedInterval: (low, high) => (known(low) && known(high) ? `[${fmt.signed(low)}, ${fmt.signed(high)}]` : "–"),
  p: (v) => (!known(v) ? "–" : v < 0.001 ? "<0.001" : v.toFixed(3)),
  count: (v) => (!known(v) ? "–" : v >= 100 || Number.isInteger(v) ? Math.round(v).toLocaleString("en") : v.toFixed(1)),
  share: (v) => (!known(v) ? "–" : v > 0 && v < 0.005 ? "<1 %" : `${Math.round(v * 100)} %`),
  ratio: (v) => (!known(v) ? "unknown" : v < 10 ? `${v.toPrecision(2)}×` : `${Math.round(v)}×`),
  usd: (v) => (!known(v) ? "unknown" : v === 0 ? "$0" : v < 1 ? `$${Number(v.toPrecision(3))}` : `$${v.toFixed(2)}`),
  seconds: (v) => (known(v) ? `${v < 10 ? v.toFixed(1) : Math.round(v)} s` : "–"),
};

// A table in a frame that scrolls by itself, so that the page never scrolls sideways.
// columns: {head, cell(row) -> text or node, kind: "head" | "number" | "text", note}
function table(caption, columns, rows, props) {
  const id = freshId("caption");
  const head = columns.map((c) =>
    el("th", { scope: "col", class: c.kind === "text" || c.kind === "head" ? "text" : "number", title: c.note }, c.head));
  const line = (row) => el("tr", row.props, columns.map((column) => cell(column, row)));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id },
    el("table", props, el("caption", { id }, caption), el("thead", null, el("tr", null, head)),
      el("tbody", null, rows.map(line))));
}

function cell(column, row) {
  const shown = column.cell(row);
  if (shown instanceof HTMLTableCellElement) return shown;
  if (column.kind === "head") return el("th", { scope: "row", class: "text" }, shown);
  return el("td", { class: column.kind === "text" ? "text" : "number" }, shown);
}

// A labelled select box. options: [value, text] pairs.
function choice(label, options, value, change) {
  const id = freshId("choice");
  const box = el("select", { id, onchange: () => change(box.value) },
    options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("div", { class: "choice" }, el("label", { for: id }, label), box);
}

const section = (id, title, ...kids) =>
  el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), kids);

const paragraph = (...kids) => el("p", null, kids);
