// Charts, drawn at the size of the screen, so that their letters stay readable on a phone.

// Draw now, and again whenever the width changes. The description repeats in words what the picture shows.
function chart(title, description, draw) {
  const frame = el("figure", { class: "chart" });
  let drawn = 0;
  const again = () => {
    const width = Math.floor(frame.clientWidth);
    if (!width || width === drawn) return;
    drawn = width;
    const [titleId, descriptionId] = [freshId("title"), freshId("description")];
    const root = svg("svg", { role: "group", "aria-labelledby": `${titleId} ${descriptionId}`, width },
      svg("title", { id: titleId }, title), svg("desc", { id: descriptionId }, description));
    frame.replaceChildren(root);
    const height = Math.ceil(draw(root, width));
    root.setAttribute("height", height);
    root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  };
  new ResizeObserver(again).observe(frame);
  return frame;
}

function niceStep(span, most) {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((m) => m * power).find((step) => step >= rough * 0.999);
}

function ticks(low, high, most) {
  const step = niceStep(high - low || 1, most);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function logTicks(low, high, most) {
  for (const steps of [[1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const m of steps) if (m * 10 ** power >= low && m * 10 ** power <= high) found.push(m * 10 ** power);
    if (found.length <= most) return found;
  }
  return [];
}

const MARK = { emotional: "emotional", neutral: "neutral" };
const toneOf = (arm) => MARK[arm.tone] || "other";

// Shapes as well as colours tell the tones apart.
function marker(tone, x, y, r) {
  if (tone === "emotional") return svg("circle", { cx: x, cy: y, r });
  if (tone === "neutral") return svg("rect", { x: x - r * 0.9, y: y - r * 0.9, width: r * 1.8, height: r * 1.8 });
  return svg("path", { d: `M${x} ${y - r * 1.3}L${x + r * 1.3} ${y}L${x} ${y + r * 1.3}L${x - r * 1.3} ${y}Z` });
}

// ---- the tip beside a point, for pointer and keyboard alike

const tip = document.getElementById("tip");

function showTip(node, lines) {
  tip.replaceChildren(...lines.map((line, number) => el(number ? "div" : "strong", null, line)));
  tip.hidden = false;
  const at = node.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - box.width / 2), document.documentElement.clientWidth - box.width - 8);
  const above = at.top - box.height - 8;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 0 ? above : at.bottom + 8) + scrollY}px`;
}

const hideTip = () => { tip.hidden = true; };
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

function withTip(node, anchor, lines) {
  for (const name of ["pointerenter", "focus"]) node.addEventListener(name, () => showTip(anchor, lines));
  for (const name of ["pointerleave", "blur"]) node.addEventListener(name, hideTip);
  return node;
}

// ---- labels that don't overlap

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

// Places, nearest first, in which a label of this size may stand beside a point.
function* placesBeside(point, w, h) {
  for (const far of [9, 13, 20, 30, 42, 56, 72, 90]) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0.7, -0.7], [0.7, 0.7], [-0.7, -0.7], [-0.7, 0.7], [0, -1], [0, 1]]) {
      const x = point.x + dx * far - (dx > 0 ? 0 : dx < 0 ? w : w / 2);
      const y = point.y + dy * far - (dy > 0 ? 0 : dy < 0 ? h : h / 2);
      yield { x, y, w, h, far };
    }
  }
}

function placeLabels(points, sizes, area) {
  const taken = points.map((p) => (p.on ? { x: p.x - 10, y: p.y - 10, w: 20, h: 20 } : { x: p.x - 6, y: p.y - 6, w: 12, h: 12 }));
  const steps = frontierSteps(points);
  const lines = [...points.map((p) => ({ x: p.x - 1, y: p.high, w: 2, h: p.low - p.high })),
    ...steps.map((p, n) => ({ x: p.x, y: p.y - 1, w: (steps[n + 1]?.x ?? area.x + area.w) - p.x, h: 2 })),
    ...steps.slice(1).map((p, n) => ({ x: p.x - 1, y: p.y, w: 2, h: steps[n].y - p.y }))];
  const inside = (box) => box.x >= area.x && box.y >= area.y && box.x + box.w <= area.x + area.w && box.y + box.h <= area.y + area.h;
  const order = points.map((_, number) => number).sort((a, b) => points[a].y - points[b].y);
  const found = [];
  for (const number of order) {
    const all = [...placesBeside(points[number], ...sizes[number])].filter(inside)
      .filter((box) => !taken.some((other) => overlap(box, other)));
    const box = all.find((one) => !lines.some((other) => overlap(one, other))) || all[0];
    if (!box) return null;
    taken.push({ x: box.x - 2, y: box.y, w: box.w + 4, h: box.h });
    found[number] = box;
  }
  return found;
}

// ---- quality against cost

// arms: {number, label, tone, tokens, score, low, high, frontier, tip: [lines]}
function drawScatter(root, width, arms) {
  const height = Math.round(Math.min(480, Math.max(340, width * 0.58)));
  const area = { x: 48, y: 14, w: width - 60, h: height - 66 };
  const costs = arms.map((a) => a.tokens);
  const log = Math.min(...costs) > 0 && Math.max(...costs) / Math.min(...costs) > 6;
  const x = costScale(costs, area, log);
  const y = scoreScale(arms, area);
  axis(root, area, x, y, log);
  const points = arms.map((a) => ({
    x: x.at(a.tokens), y: y.at(a.score), on: a.frontier, high: y.at(a.high ?? a.score), low: y.at(a.low ?? a.score) }));
  drawFrontier(root, area, points);
  for (const p of points) root.append(svg("line", { class: "whisker", x1: p.x, x2: p.x, y1: p.high, y2: p.low }));
  drawLabels(root, width, area, arms, points);
  arms.forEach((arm, n) => root.append(drawPoint(arm, points[n])));
  return height;
}

function costScale(costs, area, log) {
  const to = log ? Math.log : (v) => v;
  let [low, high] = [to(log ? Math.min(...costs) : 0), to(Math.max(...costs, 1))];
  const pad = (high - low || 1) * 0.06;
  [low, high] = [log ? low - pad : 0, high + pad];
  const at = (v) => area.x + ((to(v) - low) / (high - low)) * area.w;
  const most = Math.max(2, Math.floor(area.w / 80));
  return { at, ticks: log ? logTicks(Math.exp(low), Math.exp(high), most) : ticks(low, high, most) };
}

function scoreScale(arms, area) {
  let low = Math.min(...arms.map((a) => a.low ?? a.score)), high = Math.max(...arms.map((a) => a.high ?? a.score));
  const pad = Math.max(0.01, (high - low) * 0.08);
  [low, high] = [Math.max(0, low - pad), Math.min(1, high + pad)];
  return { at: (v) => area.y + area.h - ((v - low) / (high - low || 1)) * area.h, ticks: ticks(low, high, 6) };
}

function axis(root, area, x, y, log) {
  const bottom = area.y + area.h;
  for (const value of y.ticks) {
    root.append(svg("line", { class: "grid", x1: area.x, x2: area.x + area.w, y1: y.at(value), y2: y.at(value) }),
      svg("text", { class: "tick", x: area.x - 8, y: y.at(value) + 4, "text-anchor": "end" }, Number(value.toFixed(4))));
  }
  for (const value of x.ticks) {
    root.append(svg("line", { class: "axis", x1: x.at(value), x2: x.at(value), y1: bottom, y2: bottom + 5 }),
      svg("text", { class: "tick", x: x.at(value), y: bottom + 19, "text-anchor": "middle" }, value.toLocaleString("en")));
  }
  root.append(svg("line", { class: "axis", x1: area.x, x2: area.x + area.w, y1: bottom, y2: bottom }),
    svg("text", { class: "name", x: area.x + area.w, y: bottom + 40, "text-anchor": "end" },
      `tokens per item${log ? " (logarithmic)" : ""}`),
    svg("text", { class: "name", x: area.x - 40, y: bottom + 40 }, "↑ mean score"));
}

// The best score that so many tokens can buy: of arms that cost the same, the best one counts.
function frontierSteps(points) {
  const on = points.filter((p) => p.on).sort((a, b) => a.x - b.x || a.y - b.y);
  return on.filter((p, n) => on.slice(0, n).every((before) => before.y > p.y));
}

function drawFrontier(root, area, points) {
  const on = frontierSteps(points);
  if (!on.length) return;
  const path = on.map((p, n) => (n ? `H${p.x}V${p.y}` : `M${p.x} ${p.y}`)).join("");
  root.append(svg("path", { class: "frontier", d: `${path}H${area.x + area.w}` }));
}

// Names where all of them fit; else numbers, which the table below explains.
function drawLabels(root, width, area, arms, points) {
  const named = width >= 560 && arms.length <= 14;
  for (const texts of [named ? arms.map((a) => a.label) : null, arms.map((a) => String(a.number))]) {
    if (!texts) continue;
    const nodes = texts.map((text) => svg("text", { class: "label" }, text));
    root.append(...nodes);
    const sizes = nodes.map((node) => [node.getComputedTextLength() + 2, 14]);
    const places = placeLabels(points, sizes, { ...area, y: 0, h: area.h + area.y, w: area.w + 12 });
    if (places) return nodes.forEach((node, n) => putLabel(root, node, places[n], points[n]));
    nodes.forEach((node) => node.remove());
  }
  return undefined;
}

function putLabel(root, node, place, point) {
  node.setAttribute("x", place.x + 1);
  node.setAttribute("y", place.y + 11);
  if (place.far < 20) return;
  const x = Math.min(Math.max(point.x, place.x), place.x + place.w);
  const y = Math.min(Math.max(point.y, place.y), place.y + place.h);
  root.append(svg("line", { class: "leader", x1: point.x, y1: point.y, x2: x, y2: y }));
}

function drawPoint(arm, point) {
  const tone = toneOf(arm);
  const shape = marker(tone, point.x, point.y, 5);
  const ring = arm.frontier && svg("circle", { class: "ring", cx: point.x, cy: point.y, r: 9.5 });
  const hit = svg("circle", { class: "hit", cx: point.x, cy: point.y, r: 13 });
  const group = svg("g", { class: `point ${tone}`, tabindex: "0", role: "img", "aria-label": arm.tip.join(", ") }, hit, ring, shape);
  return withTip(group, shape, arm.tip);
}

// ---- rows of values with intervals

// rows: {label, value, low, high, strong, flattered, text}; options: {zero: line there, signed, name}
function drawForest(root, width, rows, options) {
  const wide = width >= 620;
  const left = wide ? Math.min(330, width * 0.36) : 8;
  const right = wide ? 178 : 12;
  const step = wide ? 26 : 44;
  const area = { x: left, y: 8, w: width - left - right, h: rows.length * step };
  const x = forestScale(rows, area, options);
  forestAxis(root, area, x, options);
  rows.forEach((row, n) => root.append(forestRow(row, x, area, area.y + n * step + (wide ? step / 2 : step - 12), wide, width)));
  return area.h + 56;
}

function forestScale(rows, area, options) {
  const values = rows.flatMap((r) => [r.low, r.high, r.value, r.flattered]).filter(known);
  let [low, high] = options.domain || [Math.min(0, ...values), Math.max(0, ...values)];
  const pad = options.domain ? 0 : (high - low || 0.1) * 0.06;
  [low, high] = [low - pad, high + pad];
  return { at: (v) => area.x + ((v - low) / (high - low)) * area.w, ticks: ticks(low, high, Math.max(2, Math.floor(area.w / 70))) };
}

function forestAxis(root, area, x, options) {
  const bottom = area.y + area.h + 4;
  for (const value of x.ticks) {
    const text = options.signed && value > 0 ? `+${value}` : minus(String(value));
    root.append(svg("line", { class: "grid", x1: x.at(value), x2: x.at(value), y1: area.y, y2: bottom }),
      svg("text", { class: "tick", x: x.at(value), y: bottom + 16, "text-anchor": "middle" }, text));
  }
  if (options.signed) root.append(svg("line", { class: "zero", x1: x.at(0), x2: x.at(0), y1: area.y, y2: bottom }));
  root.append(svg("text", { class: "name", x: area.x + area.w / 2, y: bottom + 36, "text-anchor": "middle" }, options.name));
}

function forestRow(row, x, area, y, wide, width) {
  const side = !row.strong ? "even" : row.value > 0 ? "gain" : "loss";
  const parts = [];
  if (known(row.low)) parts.push(svg("line", { class: "span", x1: x.at(row.low), x2: x.at(row.high), y1: y, y2: y }));
  if (known(row.flattered)) parts.push(svg("path", { class: "flattered", d: cross(x.at(row.flattered), y) }));
  parts.push(svg("circle", { class: "dot", cx: x.at(row.value), cy: y, r: row.strong ? 5.5 : 4.5 }));
  const label = svg("text", { class: "label" });
  label.textContent = shorten(row.label, wide ? (area.x - 12) / 6.9 : (width - 20) / 6.9);
  label.setAttribute("x", wide ? area.x - 12 : 8);
  label.setAttribute("y", wide ? y + 4 : y - 13);
  label.setAttribute("text-anchor", wide ? "end" : "start");
  if (wide) parts.push(svg("text", { class: "value", x: width - 4, y: y + 4, "text-anchor": "end" }, row.text));
  return svg("g", { class: `forest ${side}` }, svg("title", null, `${row.label}: ${row.text}`), label, parts);
}

const cross = (x, y) => `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x - 4} ${y + 4}L${x + 4} ${y - 4}`;

function shorten(text, most) {
  const letters = Array.from(text);
  return letters.length <= most ? text : `${letters.slice(0, Math.max(1, Math.floor(most) - 1)).join("")}…`;
}
