// Puts the sections in their order.

const SECTIONS = [headlineSection, costSection, differencesSection, tasksSection, selectionsSection, repairsSection, groupsSection, examplesSection];

function start() {
  const [first, ...others] = SECTIONS.map((make) => make()).filter(Boolean);
  const sections = [first, ...extraSections(), ...others];
  const links = sections.map((s) => el("li", null, el("a", { href: `#${s.id}` }, s.querySelector("h2").textContent)));
  const suites = [...new Set(plan.tasks.map((task) => task.name.split("/")[0]))];
  document.title = `${suites.join(", ")} with ${plan.model} – emoagents comparison`;
  document.getElementById("main").replaceChildren(
    el("h1", null, suites.join(", "), " ", el("span", { class: "with" }, "with ", plan.model)),
    el("nav", { "aria-label": "Sections" }, el("ul", null, links)),
    ...sections,
    el("footer", null, paragraph("Made by emoagents", plan.emoagents ? ` ${plan.emoagents}` : "",
      ". This page loads nothing from anywhere and keeps nothing. Beside it stand results.csv, results.parquet and summary.json.")));
}

// The choice holds until the page is left: nothing is remembered.
function startTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const tell = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; tell(); });
  system.addEventListener("change", tell);
  tell();
}

startTheme();
start();
