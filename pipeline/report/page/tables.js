// Tables that a click or a key on a column's name sorts.
function valueOf(row, column) {
  const text = row.cells[column].dataset.value ?? "";
  const number = Number(text);
  return text === "" || Number.isNaN(number) ? text : number;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function sort(button) {
  const header = button.closest("th");
  const rising = header.getAttribute("aria-sort")
    ? header.getAttribute("aria-sort") !== "ascending"
    : !header.classList.contains("number");
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = header.closest("table").tBodies[0];
  const rows = [...body.rows];
  const column = header.cellIndex;
  rows.sort((a, b) => (rising ? 1 : -1) * compare(valueOf(a, column), valueOf(b, column)));
  body.append(...rows);
}

for (const button of document.querySelectorAll("table.sortable button.sort")) {
  button.addEventListener("click", () => sort(button));
}
