"use strict";
// Without this script tables stand in their printed order with every layer, and the view sets are
// those of the first task.

function sortBy(table, column, header) {
  const better = Number(header.dataset.best || 0);
  const wasDescending = header.getAttribute("aria-sort") === "descending";
  const wasSorted = header.hasAttribute("aria-sort");
  // First click: best on top, or A to Z.
  const descending = wasSorted ? !wasDescending : "best" in header.dataset && better >= 0;
  for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const isNumber = "best" in header.dataset;
  const names = new Intl.Collator(undefined, { numeric: true });
  for (const body of table.tBodies) {
    const rows = Array.from(body.rows, (row) => {
      const cell = row.cells[column];
      return { row, key: isNumber ? parseFloat(cell.dataset.value) : cell.textContent };
    });
    rows.sort((a, b) => {
      if (!isNumber) return names.compare(a.key, b.key) * (descending ? -1 : 1);
      // Blanks stay at the bottom, whichever way the rest is sorted.
      if (Number.isNaN(a.key) || Number.isNaN(b.key)) {
        return Number(Number.isNaN(a.key)) - Number(Number.isNaN(b.key));
      }
      return descending ? b.key - a.key : a.key - b.key;
    });
    body.append(...rows.map((entry) => entry.row));
  }
}

function setUp(board) {
  const table = board.querySelector("table");
  if (!table) return;
  const filter = board.querySelector(".filter");
  const everyLayer = board.querySelector(".every-layer");
  const count = board.querySelector(".count");
  const rows = Array.from(table.querySelectorAll("tbody tr"), (row) => ({
    row,
    folds: "folds" in row.dataset,
    text: `${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase(),
  }));
  const show = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const folded = everyLayer !== null && !everyLayer.checked;
    let shown = 0;
    let all = 0;
    for (const entry of rows) {
      const possible = !(folded && entry.folds);
      const hit = possible && words.every((word) => entry.text.includes(word));
      entry.row.hidden = !hit;
      all += Number(possible);
      shown += Number(hit);
    }
    count.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
  };
  table.querySelectorAll("thead th").forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => sortBy(table, column, header));
  });
  filter.addEventListener("input", show);
  if (everyLayer) {
    everyLayer.checked = false;
    everyLayer.addEventListener("change", show);
  }
  show();
}

document.querySelectorAll(".board").forEach(setUp);

// Each view set has one card, and so one picture; choosing a model moves cards between the lists.
function setUpExtremes(section) {
  const groups = JSON.parse(section.dataset.groups);
  const [groupChoice, modelChoice] = section.querySelectorAll("select");
  const cards = new Map();
  for (const card of section.querySelectorAll("li")) cards.set(Number(card.dataset.set), card);
  const spare = section.querySelector(".spare");
  const show = () => {
    const entries = groups[groupChoice.selectedIndex].lists[modelChoice.selectedIndex].entries;
    spare.append(...cards.values());
    for (const [number, value, place] of entries) {
      const card = cards.get(number);
      card.querySelector("strong").textContent = value;
      section.querySelector(`.cards.${place}`).append(card);
    }
  };
  groupChoice.addEventListener("change", () => {
    const model = modelChoice.value;
    const names = groups[groupChoice.selectedIndex].lists.map((list) => list.name);
    modelChoice.replaceChildren(...names.map((name) => new Option(name)));
    modelChoice.selectedIndex = Math.max(0, names.indexOf(model));
    show();
  });
  modelChoice.addEventListener("change", show);
  section.querySelector(".controls").hidden = false;
  groupChoice.selectedIndex = 0;
  modelChoice.selectedIndex = 0;
  show();
}

const extremes = document.getElementById("extremes");
if (extremes) setUpExtremes(extremes);
