// Sections that a suite of tasks adds: text, tables and pictures, all of them data.

const extraSections = () => (data.extra || []).map(extraSection);

function extraSection(extra) {
  return section(extra.id, extra.title,
    extra.text.map((line) => paragraph(line)),
    extra.notes.length ? el("div", { class: "notes" }, el("h3", null, "Notes"),
      el("ul", null, extra.notes.map((note) => el("li", null, note)))) : null,
    extra.shown.map(extraPart),
    extra.more.length ? el("details", null, el("summary", null, `More tables and pictures (${extra.more.length})`),
      extra.more.map(extraPart)) : null);
}

const extraPart = (part) => (part.kind === "table" ? extraTable(part) : extraPicture(part));

const extraNumber = (text) => (text === "-" ? "–" : text.replace(/-(?=\d)/g, MINUS));

const extraTable = (part) => table(part.caption, part.columns.map((column, place) => ({ ...column,
  cell: (row) => (column.kind === "number" ? extraNumber(row[place]) : row[place]) })), part.rows);

// A picture keeps a size at which its letters can be read: on a phone its frame scrolls, and the page does not.
function extraPicture(part) {
  const id = freshId("picture");
  return el("figure", { class: "picture" },
    el("figcaption", { id }, part.title),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id },
      el("img", { src: part.address, alt: part.alt, width: part.width, height: part.height, loading: "lazy" })));
}
