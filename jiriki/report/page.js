"use strict";
// Tables sort by the column whose head is pressed; a pressed mark shows its tip (phones do not hover).
const PREFIX = { p: 1e-12, n: 1e-9, "µ": 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
function key(cell) {
  const said = cell.dataset.v ?? cell.textContent;
  const part = /^[$+]?(-?[\d,]*\.?\d+)\s?([pnµmkMGT](?=[A-Za-z]?(?![A-Za-z])))?/.exec(said.trim());
  return part ? Number(part[1].replaceAll(",", "")) * (PREFIX[part[2]] ?? 1) : said.trim().toLowerCase();
}
function compare(a, b) {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1;
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement, body = head.closest("table").tBodies[0];
    const place = [...row.cells].indexOf(head);
    const down = head.getAttribute("aria-sort") === "descending" ? false : head.classList.contains("n") || head.getAttribute("aria-sort") === "ascending";
    for (const other of row.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => compare(key(a.cells[place]), key(b.cells[place])));
    body.append(...(down ? rows.reverse() : rows));
  });
}
const tip = document.getElementById("tip");
document.addEventListener("click", (event) => {
  const mark = event.target.closest("svg *"), title = mark && mark.querySelector(":scope > title");
  tip.hidden = !title;
  if (title) tip.textContent = title.textContent;
});
