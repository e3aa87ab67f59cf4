// Items side by side: two arms' answers, and on demand all that was sent and answered.

const AT_ONCE = 10;
const OUTCOMES = { all: "All", won: "Won", lost: "Lost", tied: "Tied", wrong: "Both wrong" };
const firstMetric = new Map(plan.tasks.map((task) => [task.name, task.metrics[0]]));

function examplesSection() {
  const { list, total, disagreed, with_calls: withCalls } = data.examples;
  if (!list.length) return null;
  const state = { ...firstPair(), outcome: "all", task: "", most: AT_ONCE };
  const filters = el("div", { class: "choices" });
  const body = el("div", { class: "examples", id: "example-list" });
  const status = el("p", { role: "status", class: "small" });
  const draw = () => drawExamples(state, filters, body, status, draw);
  draw();
  return section("examples", "Examples, won and lost",
    paragraph(`${list.length.toLocaleString("en")} of ${total.toLocaleString("en")} items are in this page. `,
      `They were drawn with hashes of their names, those on which the arms disagree (${disagreed.toLocaleString("en")}) far more often than the others: `,
      "read them for what happens, not for how often it happens. results.csv and results.parquet have all.",
      withCalls < list.length ? ` To keep the page small, the raw calls of ${(list.length - withCalls).toLocaleString("en")} of them are left out.` : ""),
    filters, status, body);
}

// To begin with: the best arm against the baseline.
function firstPair() {
  const by = (label) => armRow(label, data.overall)?.score ?? -1;
  const base = Math.max(0, plan.arms.findIndex((arm) => arm.label === plan.baseline));
  const others = plan.arms.map((_, n) => n).filter((n) => n !== base);
  others.sort((a, b) => by(plan.arms[b].label) - by(plan.arms[a].label));
  return { left: others[0] ?? base, right: base };
}

function drawExamples(state, filters, body, status, draw) {
  const inTask = data.examples.list.filter((e) => !state.task || e.task === state.task);
  const kinds = inTask.map((e) => [e, outcomeOf(e, state)]);
  const found = kinds.filter(([, kind]) => state.outcome === "all" || kind.includes(state.outcome));
  drawFilters(state, filters, kinds, draw);
  status.textContent = `${found.length} of ${data.examples.list.length} examples; “won” means that ${plan.arms[state.left].label} scored higher.`;
  body.replaceChildren(...found.slice(0, state.most).map(([example, kind]) => exampleCard(example, kind, state)));
  if (found.length > state.most)
    body.append(el("button", { type: "button", class: "more", onclick: () => showMore(state, body, draw) },
      `Show ${Math.min(AT_ONCE, found.length - state.most)} more`));
}

function showMore(state, body, draw) {
  const from = state.most;
  state.most += AT_ONCE;
  draw();
  body.children[from]?.focus();
}

function outcomeOf(example, state) {
  const [left, right] = [scoreOf(example, state.left), scoreOf(example, state.right)];
  if (!known(left) || !known(right)) return ["none"];
  const kinds = [Math.abs(left - right) < 1e-9 ? "tied" : left > right ? "won" : "lost"];
  if (left < 0.5 && right < 0.5) kinds.push("wrong");
  return kinds;
}

function scoreOf(example, arm) {
  const attempt = example.attempts[arm];
  if (!attempt || attempt.status === "failed" || attempt.status === "unjudged") return null;
  return attempt.scores[firstMetric.get(example.task)] ?? 0;
}

function drawFilters(state, filters, kinds, draw) {
  const focused = [...filters.querySelectorAll("select")].indexOf(document.activeElement);
  const set = (name, read) => (value) => { Object.assign(state, { [name]: read(value), most: AT_ONCE }); draw(); };
  const options = plan.arms.map((arm, number) => [String(number), arm.label]);
  const number = (kind) => kinds.filter(([, found]) => kind === "all" || found.includes(kind)).length;
  const tasks = [...new Set(data.examples.list.map((e) => e.task))];
  filters.replaceChildren(
    choice("Arm", options, String(state.left), set("left", Number)),
    choice("Against", options, String(state.right), set("right", Number)),
    choice("Outcome", Object.entries(OUTCOMES).map(([kind, text]) => [kind, `${text} (${number(kind)})`]), state.outcome, set("outcome", String)),
    ...(tasks.length > 1 ? [choice("Task", [["", "All tasks"], ...tasks.map((t) => [t, taskName(t)])], state.task, set("task", String))] : []));
  if (focused >= 0) filters.querySelectorAll("select")[focused]?.focus();
}

// ---- one item

function exampleCard(example, kinds, state) {
  const words = { won: "won", lost: "lost", tied: "tied", wrong: "both wrong", none: "not comparable" };
  const place = [taskName(example.task), example.item, plan.replicas > 1 ? `repetition ${example.replica + 1}` : null];
  const groups = Object.entries(example.groups).map(([name, value]) => `${name} = ${value}`);
  return el("article", { class: "example", tabindex: "-1" },
    el("header", null, el("h3", null, isolated([...place, ...groups].filter(Boolean).join(" · "))),
      kinds.map((kind) => el("span", { class: `tag ${kind}` }, words[kind]))),
    el("h4", null, "Question"), quoted(example.question),
    example.targets.length ? [el("h4", null, example.targets.length > 1 ? "Targets" : "Target"), quoted(example.targets.join("\n"))] : null,
    el("div", { class: "pair" }, [...new Set([state.left, state.right])].map((arm) => attemptBox(example, arm))));
}

const isolated = (text) => el("bdi", null, text);
// Text of a model or a data file: in its own direction, all its spaces kept, and nothing but text.
const quoted = (text, name) => el("pre", { class: "quoted", dir: "auto", tabindex: "0", "aria-label": name }, text === "" ? "(empty)" : text);

function attemptBox(example, arm) {
  const attempt = example.attempts[arm];
  const title = el("h4", null, plan.arms[arm].label);
  if (!attempt) return el("div", { class: "attempt" }, title, paragraph("No record."));
  return el("div", { class: "attempt" }, title, el("p", { class: "small" }, attemptFacts(example, arm, attempt)),
    attempt.error !== null ? quoted(attempt.error, "Error") : null,
    attempt.answer !== null ? quoted(attempt.answer, "Answer") : null,
    attempt.parsed !== null && attempt.parsed !== attempt.answer ? el("p", { class: "small" }, "read as: ", isolated(attempt.parsed)) : null,
    rawCalls(example, arm));
}

function attemptFacts(example, arm, attempt) {
  const facts = [attempt.status === "scored" ? `${firstMetric.get(example.task)} ${fmt.score(scoreOf(example, arm))}` : attempt.status,
    `${fmt.count(attempt.tokens)} tokens`, `${attempt.answers} ${attempt.answers === 1 ? "answer" : "answers"}`];
  if (attempt.stopped_by) facts.push(`stopped by ${attempt.stopped_by}`);
  if (attempt.verified !== null && attempt.stopped_by !== "verified") facts.push(attempt.verified ? "verified" : "not verified");
  const others = Object.entries(attempt.scores).filter(([name]) => name !== firstMetric.get(example.task));
  return [...facts, ...others.map(([name, value]) => `${name} ${fmt.score(value)}`)].join(" · ");
}

// ---- raw calls

function rawCalls(example, arm) {
  const calls = example.calls[arm];
  if (calls && !calls.length) return null;
  if (!calls) return el("p", { class: "small" }, "Raw calls are left out here; results.parquet has them.");
  const number = calls.filter((step) => step.event === "call").length;
  const body = el("ol", { class: "steps" });
  const fillIn = () => { if (!body.childElementCount) body.append(...calls.map((step) => stepItem(step, example.texts))); };
  return el("details", { class: "raw", ontoggle: fillIn },
    el("summary", null, `Raw calls (${number})`), body);
}

function stepItem(step, texts) {
  const title = el("h5", null, step.event, step.node ? el("span", { class: "small" }, ` at ${step.node}`) : null);
  if (step.event !== "call") return el("li", { class: "decision" }, title, el("dl", null, Object.entries(step.facts).map(([name, text]) =>
    el("div", null, el("dt", null, name), el("dd", { dir: "auto" }, texts[text])))));
  return el("li", { class: "call" }, title, step.model ? el("p", { class: "small" }, step.model) : null,
    step.sent.map(([role, text]) => message(role, texts[text], "sent")),
    step.answers.map((text, n) => message(step.answers.length > 1 ? `reply ${n + 1}` : "reply", texts[text], "reply")),
    step.errors.map((text) => message("error", texts[text], "failed")));
}

const message = (role, text, kind) => el("div", { class: `message ${kind}` }, el("p", { class: "role" }, role), quoted(text, role));
