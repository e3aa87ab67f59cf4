// The sections of numbers: each returns its element, or null where there is nothing to show.

const data = JSON.parse(document.getElementById("data").textContent);
const { plan, findings } = data;
const LEVEL = `${Number((100 * (1 - findings.alpha)).toFixed(1))} %`;
const armNumber = new Map(plan.arms.map((arm, number) => [arm.label, number + 1]));
const rowOf = new Map(findings.arms.map((row) => [`${row.task}\n${row.arm}`, row]));
const arms = plan.arms.filter((arm) => armRow(arm.label, data.overall));

function armRow(label, task) { return rowOf.get(`${task}\n${label}`); }
const taskName = (name) => (name === "all" ? "All tasks" : data.short[name] || name);

function headlineSection() {
  const sources = plan.tasks.map((task) => ({ task }));
  const facts = [["Model", plan.model], ["Baseline", plan.baseline],
    ["Items", plan.tasks.reduce((sum, task) => sum + task.items, 0).toLocaleString("en")],
    ["Attempts", findings.attempts.toLocaleString("en")],
    ["Answers drawn", findings.answers.toLocaleString("en")],
    ["of which paid for", findings.bought.toLocaleString("en")],
    ["Repetitions", plan.replicas], ["Seed", plan.seed], ["emoagents", plan.emoagents || "unknown"]];
  const settings = Object.entries(plan.settings).filter(([name]) => name !== "notes");
  return section("summary", "What was compared",
    el("div", { class: "lead" }, data.headline.map((line) => paragraph(line))),
    data.notes.length ? el("div", { class: "notes" }, el("h3", null, "Notes"),
      el("ul", null, data.notes.map((note) => el("li", null, note)))) : null,
    el("dl", { class: "facts" }, facts.map(([name, value]) =>
      el("div", null, el("dt", null, name), el("dd", null, value)))),
    plan.command ? el("div", { class: "command" }, el("h3", null, "Run it again"), el("pre", { tabindex: "0" }, plan.command)) : null,
    el("details", null, el("summary", null, "Tasks, data and settings"),
      table("Tasks and where their data comes from", [
        { head: "Task", kind: "head", cell: (r) => r.task.name },
        { head: "Items", kind: "number", cell: (r) => r.task.items.toLocaleString("en") },
        { head: "Metrics (the first is compared by)", kind: "text", cell: (r) => r.task.metrics.join(", ") },
        { head: "Source", kind: "text", cell: (r) => r.task.source || "–" }], sources),
      settings.length ? el("pre", { tabindex: "0" }, settings.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join("\n")) : null));
}

// ---- quality against cost

function costSection() {
  const rows = arms.map((arm) => ({ ...arm, ...armRow(arm.label, data.overall), number: armNumber.get(arm.label) }));
  const shown = rows.filter((row) => known(row.score) && known(row.tokens)).map((row) => ({ ...row, tip: pointTip(row) }));
  return section("cost", "Quality against cost",
    paragraph(`Each arm's mean score with its ${LEVEL} interval against the tokens that it reads and writes for one item. `,
      "The dashed line is the frontier: no other arm is at least as good for fewer tokens. Up and left is better."),
    toneLegend(rows),
    shown.length ? chart("Mean score against tokens per item",
      `Scatter of ${shown.length} arms; the table below has the same numbers.`,
      (root, width) => drawScatter(root, width, shown)) : null,
    armTable(rows));
}

const pointTip = (row) => [`${row.number} ${row.label}`, `score ${fmt.score(row.score)} ${fmt.interval(row.low, row.high)}`,
  `${fmt.count(row.tokens)} tokens and ${fmt.count(row.answers)} answers per item`,
  `${fmt.usd(row.usd)} per item`, row.frontier ? "on the frontier" : "not on the frontier"];

function toneLegend(rows) {
  const texts = { emotional: "emotional", neutral: "neutral tone", other: "no tone" };
  const used = Object.keys(texts).filter((tone) => rows.some((row) => toneOf(row) === tone));
  return el("ul", { class: "legend" }, used.map((tone) => el("li", null,
    svg("svg", { width: 14, height: 14, class: `point ${tone}`, "aria-hidden": "true" }, marker(tone, 7, 7, 4.5)), texts[tone])),
  el("li", null, svg("svg", { width: 18, height: 18, class: "point other", "aria-hidden": "true" },
    svg("circle", { class: "ring", cx: 9, cy: 9, r: 7.5 })), "on the frontier"));
}

function armTable(rows) {
  const base = (row) => findings.differences.find((d) => d.kind === "baseline" && d.arm === row.arm && d.task === data.overall);
  return table("All arms, in the order of the plan; means for one item", [
    { head: "No.", kind: "number", cell: (r) => r.number },
    { head: "Arm", kind: "head", cell: (r) => [r.label, r.label === plan.baseline ? el("span", { class: "tag" }, "baseline") : null,
      r.frontier ? el("span", { class: "tag" }, "frontier") : null] },
    { head: "Score", kind: "number", cell: (r) => el("strong", null, fmt.score(r.score)) },
    { head: `${LEVEL} interval`, kind: "number", cell: (r) => fmt.interval(r.low, r.high) },
    { head: "To baseline", kind: "number", cell: (r) => (base(r) ? fmt.signed(base(r).difference) : "–") },
    { head: "Items", kind: "number", cell: (r) => r.n.toLocaleString("en"), note: "items scored" },
    { head: "Tokens", kind: "number", cell: (r) => fmt.count(r.tokens) },
    { head: "Answers", kind: "number", cell: (r) => fmt.count(r.answers), note: "samples drawn from the model" },
    { head: "Cost", kind: "number", cell: (r) => fmt.usd(r.usd) },
    { head: "Time", kind: "number", cell: (r) => fmt.seconds(r.seconds) },
    { head: "Unparsed", kind: "number", cell: (r) => fmt.share(r.unparsed), note: "answered, but nothing could be read from it: counts as 0" },
    ...(rows.some((r) => r.unjudged) ? [{ head: "Unjudged", kind: "number", cell: (r) => fmt.share(r.unjudged),
      note: "answered, but the judge's verdict could not be read: in no mean" }] : []),
    { head: "Failed", kind: "number", cell: (r) => fmt.share(r.failed), note: "no answer: in no mean" },
    { head: "Spec", kind: "text", cell: (r) => el("code", null, r.spec) }], rows);
}

// ---- paired differences

const KINDS = {
  baseline: ["Against the baseline", "Every arm against the baseline, on the items that both scored."],
  twin: ["Emotional against neutral", "Each arm with an emotional tone against its twin, which differs in nothing but the tone. This is what the emotion itself is worth."],
  pair: ["Pairs of arms that draw several answers", "Arms that spend more than one answer on an item, against each other."],
};
const MOST_ROWS = 40;

function differencesSection() {
  const tasks = [...new Set(findings.differences.map((d) => d.task))];
  if (!tasks.length) return null;
  const body = el("div");
  const show = (task) => body.replaceChildren(...Object.keys(KINDS).map((kind) => differencesOf(kind, task)).filter(Boolean));
  const first = tasks.includes(data.overall) ? data.overall : tasks[0];
  show(first);
  return section("differences", "Paired differences",
    el("ul", { class: "legend" },
      el("li", null, dotSample("gain"), "significant gain (filled, large)"), el("li", null, dotSample("loss"), "significant loss (filled, large)"),
      el("li", null, dotSample("even"), "not significant (hollow)")),
    paragraph(`Significant means: below ${findings.alpha} after Holm's correction over all differences of the same kind. `,
      "What is not significant is not shown to be equal: the interval says which differences are still possible, and the table which one this many items would likely have shown."),
    plan.tasks.length > 1 ? choice("Task", tasks.map((t) => [t, taskName(t)]), first, show) : null, body);
}

const dotSample = (side) => svg("svg", { width: 26, height: 14, class: `forest ${side}`, "aria-hidden": "true" },
  svg("line", { class: "span", x1: 1, x2: 25, y1: 7, y2: 7 }), svg("circle", { class: "dot", cx: 13, cy: 7, r: side === "even" ? 4.5 : 5.5 }));

function differencesOf(kind, task) {
  const all = findings.differences.filter((d) => d.kind === kind && d.task === task).sort((a, b) => b.difference - a.difference);
  if (!all.length) return null;
  const kept = new Set([...all].sort((a, b) => a.p - b.p).slice(0, MOST_ROWS));
  const rows = all.filter((d) => kept.has(d)).map((d) => ({ ...d, value: d.difference, strong: d.significant,
    label: kind === "baseline" ? d.arm : `${d.arm} − ${d.reference}`,
    text: `${fmt.signed(d.difference)} ${fmt.signedInterval(d.low, d.high)}${d.significant ? " *" : ""}` }));
  const [title, text] = KINDS[kind];
  const cut = all.length > MOST_ROWS ? ` The picture shows the ${MOST_ROWS} with the smallest p of ${all.length}; the table has all.` : "";
  return el("div", { class: "sub" }, el("h3", null, title), paragraph(text, cut),
    chart(title, `${rows.length} differences with ${LEVEL} intervals; the table below has the same numbers.`,
      (root, width) => drawForest(root, width, rows, { signed: true, name: "difference of mean scores" })),
    differencesTable(title, all, task),
    el("p", { class: "small" }, `Tests: ${unique(all, "test")}. Intervals: ${unique(all, "interval")}.`));
}

const unique = (rows, name) => [...new Set(rows.map((row) => row[name]))].join(", ") || "–";

const differencesTable = (title, rows, task) => table(`${title}${unique(rows, "reference") === rows[0].reference ? ` (${rows[0].reference})` : ""}: ${taskName(task)}`, [
  { head: "Arm", kind: "head", cell: (d) => d.arm },
  ...(unique(rows, "reference") === rows[0].reference ? [] : [{ head: "Reference", kind: "text", cell: (d) => d.reference }]),
  { head: "Difference", kind: "number", cell: (d) => el("strong", null, fmt.signed(d.difference)) },
  { head: `${LEVEL} interval`, kind: "number", cell: (d) => fmt.signedInterval(d.low, d.high) },
  { head: "p", kind: "number", cell: (d) => fmt.p(d.p) },
  { head: "Holm p", kind: "number", cell: (d) => fmt.p(d.p_holm) },
  { head: "Significant", kind: "text", cell: (d) => (!d.significant ? "no" : el("strong", { class: d.difference > 0 ? "gain" : "loss" }, d.difference > 0 ? "▲ gain" : "▼ loss")) },
  { head: "Better / worse / equal", kind: "number", cell: (d) => `${d.wins} / ${d.losses} / ${d.ties}` },
  { head: "Pairs", kind: "number", cell: (d) => d.n.toLocaleString("en") },
  { head: "Smallest detectable", kind: "number", cell: (d) => (known(d.smallest) ? `±${d.smallest.toFixed(3)}` : "–"),
    note: "the smallest true difference that this many pairs would have shown four times out of five" },
  { head: "Answers", kind: "number", cell: (d) => fmt.ratio(d.answers_ratio), note: "the arm's answers over the reference's" },
  { head: "Tokens", kind: "number", cell: (d) => fmt.ratio(d.tokens_ratio), note: "the arm's tokens over the reference's" }], rows);

// ---- each task

function tasksSection() {
  if (plan.tasks.length < 2) return null;
  const found = new Map(findings.differences.filter((d) => d.kind === "baseline").map((d) => [`${d.task}\n${d.arm}`, d]));
  const most = Math.max(0.02, ...[...found.values()].filter((d) => d.task !== data.overall).map((d) => Math.abs(d.difference)).filter(known));
  const column = (task) => ({ head: taskName(task), kind: "number", note: task, cell: (arm) => heatCell(arm, task, found.get(`${task}\n${arm.label}`), most) });
  return section("tasks", "Task by task",
    paragraph("Mean scores. The colour, and the small figure, say how far an arm is from the baseline on that task: blue is above, orange below; an asterisk marks a significant difference (Holm, within the task)."),
    table("Mean score of each arm on each task", [
      { head: "Arm", kind: "head", cell: (arm) => arm.label },
      ...(data.overall === "all" ? [column("all")] : []), ...plan.tasks.map((task) => column(task.name))], arms, { class: "heat" }));
}

function heatCell(arm, task, difference, most) {
  const row = armRow(arm.label, task);
  const cell = el("td", { class: "number" }, el("span", { class: "score" }, fmt.score(row && row.score)));
  if (!difference || !known(difference.difference)) return cell;
  cell.append(el("span", { class: "shift" }, fmt.signed(difference.difference), difference.significant ? " *" : ""));
  cell.classList.add(difference.difference >= 0 ? "above" : "below");
  cell.style.setProperty("--depth", `${Math.round(Math.min(1, Math.abs(difference.difference) / most) * 50)}%`);
  cell.title = `${arm.label}, ${task}: ${fmt.signed(difference.difference)} ${fmt.signedInterval(difference.low, difference.high)}, ${difference.n} pairs`;
  return cell;
}

// ---- best of a family

function selectionsSection() {
  if (!findings.selections.length) return null;
  const rows = findings.selections.map((s) => ({ ...s, label: s.family, value: s.difference,
    strong: known(s.low) && (s.low > 0 || s.high < 0),
    text: `${fmt.signed(s.difference)} ${fmt.signedInterval(s.low, s.high)}` }));
  return section("selections", "Best of a family, chosen honestly",
    paragraph("Who picks the best of many arms and reports its score on the items that picked it reports luck as well. Here each half of the items chooses, and the chosen arm is scored on the other half. The cross shows the flattered figure: chosen and scored on the same items."),
    el("ul", { class: "legend" }, el("li", null, dotSample("even"), "chosen on one half, scored on the other; filled where the interval leaves out 0"),
      el("li", null, svg("svg", { width: 14, height: 14, class: "forest", "aria-hidden": "true" }, svg("path", { class: "flattered", d: cross(7, 7) })), "flattered")),
    chart("Best of each family against its reference", "Honest and flattered differences; the table below has the same numbers.",
      (root, width) => drawForest(root, width, rows, { signed: true, name: "difference to the reference" })),
    table("Best of each family", [
      { head: "Family", kind: "head", cell: (s) => s.family },
      { head: "Arms", kind: "number", cell: (s) => s.members.length },
      { head: "Chosen by each half", kind: "text", cell: (s) => s.chosen.join("; ") },
      { head: "Reference", kind: "text", cell: (s) => s.reference },
      { head: "Score", kind: "number", cell: (s) => fmt.score(s.score) },
      { head: "Difference", kind: "number", cell: (s) => el("strong", null, fmt.signed(s.difference)) },
      { head: `${LEVEL} interval`, kind: "number", cell: (s) => fmt.signedInterval(s.low, s.high) },
      { head: "p", kind: "number", cell: (s) => fmt.p(s.p) },
      { head: "Flattered difference", kind: "number", cell: (s) => fmt.signed(s.flattered) },
      { head: "Items", kind: "number", cell: (s) => s.n.toLocaleString("en") }], rows));
}

// ---- repairs

function repairsSection() {
  if (!findings.repairs.length) return null;
  const labels = [...new Set(findings.repairs.map((r) => r.arm))];
  return section("repairs", "Repairs by emotion (HEART)",
    paragraph(`Of the retries that followed a wrong answer with one emotion, how many were then right, with ${LEVEL} intervals. Which emotion a retry meets depends on the round, and later rounds meet harder items: the rates compare arms at the same emotion better than emotions with each other.`),
    labels.map(repairsOf));
}

function repairsOf(label) {
  const rows = findings.repairs.filter((r) => r.arm === label).map((r) => ({ ...r, value: r.tries ? r.repaired / r.tries : NaN }))
    .map((r) => ({ ...r, label: r.emotion, text: `${fmt.score(r.value)} ${fmt.interval(r.low, r.high)}` }));
  const drawn = rows.filter((r) => known(r.value));
  return el("div", { class: "sub" }, el("h3", null, label),
    drawn.length ? chart(`Repair rate by emotion: ${label}`, "The table below has the same numbers.",
      (root, width) => drawForest(root, width, drawn, { domain: [0, 1], name: "share of retries that were then right" })) : null,
    table(`Repairs: ${label}`, [
      { head: "Emotion", kind: "head", cell: (r) => r.emotion },
      { head: "Retries", kind: "number", cell: (r) => r.tries },
      { head: "Repaired", kind: "number", cell: (r) => r.repaired },
      { head: "Rate", kind: "number", cell: (r) => el("strong", null, fmt.score(r.value)) },
      { head: `${LEVEL} interval`, kind: "number", cell: (r) => fmt.interval(r.low, r.high) }], rows));
}

// ---- groups

function groupsSection() {
  const tables = [...new Set(findings.groups.map((g) => JSON.stringify([g.task, g.column])))];
  if (!tables.length) return null;
  const body = el("div");
  const show = (key) => body.replaceChildren(groupTable(...JSON.parse(key)));
  const name = ([task, column]) => `${column} (${taskName(task)})`;
  show(tables[0]);
  return section("groups", "Groups of items",
    paragraph("Mean scores within groups of items. Small groups vary much by chance; no test is made here."),
    tables.length > 1 ? choice("Break down by", tables.map((key) => [key, name(JSON.parse(key))]), tables[0], show) : null, body);
}

function groupTable(task, column) {
  const rows = findings.groups.filter((g) => g.task === task && g.column === column);
  const found = new Map(rows.map((g) => [`${g.group}\n${g.arm}`, g]));
  const groups = [...new Set(rows.map((g) => g.group))];
  const labels = plan.arms.map((a) => a.label).filter((label) => rows.some((g) => g.arm === label));
  const items = (group) => Math.max(...rows.filter((g) => g.group === group).map((g) => g.n));
  return table(`Mean score by ${column}: ${taskName(task)}`, [
    { head: column, kind: "head", cell: (group) => group },
    { head: "Items", kind: "number", cell: items },
    ...labels.map((label) => ({ head: label, kind: "number", cell: (group) => fmt.score(found.get(`${group}\n${label}`)?.score) }))], groups);
}
