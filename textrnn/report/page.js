"use strict";
(() => {
  // tables: a click on a heading sorts, another one reverses
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const read = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? (cell.title || cell.textContent) : Number(cell.dataset.value);
    };
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const isText = column === 0;
      const first = isText ? "ascending" : "descending";
      const other = isText ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      const sign = direction === "ascending" ? 1 : -1;
      const compare = (a, b) => (isText ? a.localeCompare(b) : a - b);
      const rows = [...body.rows].map((row) => [read(row, column), row]);
      rows.sort((a, b) => sign * compare(a[0], b[0]));
      body.append(...rows.map((pair) => pair[1]));
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
    }));
  }

  // the confusion matrix: the pointer or the arrow keys choose a cell
  const svg = document.getElementById("matrix");
  if (svg) {
    const data = JSON.parse(document.getElementById("confusion-data").textContent);
    const counts = data.rows.map((row) => row.split(",").map(Number));
    const n = data.labels.length;
    const cells = document.getElementById("cells");
    const cursor = document.getElementById("cursor");
    const status = document.getElementById("cell");
    const list = document.getElementById("cell-texts");
    let row = 0, column = 0;
    const describe = () => {
      const count = counts[row][column];
      const total = counts[row].reduce((sum, each) => sum + each, 0);
      const share = total ? ` (${(100 * count / total).toFixed(1)} % of the true label)` : "";
      status.textContent = `true: ${data.labels[row]}, predicted: ${data.labels[column]}, `
        + `${count.toLocaleString("en")} ${count === 1 ? "text" : "texts"}${share}`;
    };
    const show = () => {
      cursor.removeAttribute("hidden");
      cursor.setAttribute("x", column);
      cursor.setAttribute("y", row);
      list.replaceChildren();
      describe();
    };
    const open = () => {
      show();
      const texts = data.texts[`${row},${column}`] || [];
      list.append(...texts.map((text) => {
        const item = document.createElement("li");
        item.dir = "auto";
        item.textContent = text;
        return item;
      }));
      if (texts.length < counts[row][column]) {
        status.textContent += texts.length ? `; ${texts.length} of them:` : "; the page has none of them";
      }
    };
    svg.addEventListener("click", (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(cells.getScreenCTM().inverse());
      const place = [Math.floor(point.y), Math.floor(point.x)];
      if (place.every((each) => each >= 0 && each < n)) {
        [row, column] = place;
        open();
      }
    });
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    svg.addEventListener("keydown", (event) => {
      const move = moves[event.key];
      if (move) {
        row = Math.min(n - 1, Math.max(0, row + move[0]));
        column = Math.min(n - 1, Math.max(0, column + move[1]));
        show();
        cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else if (event.key === "Enter" || event.key === " ") {
        open();
      } else {
        return;
      }
      event.preventDefault();
    });
    document.getElementById("fit")?.addEventListener("click", (event) => {
      const fits = svg.closest(".matrix").classList.toggle("fit");
      event.currentTarget.setAttribute("aria-pressed", fits);
    });
    svg.addEventListener("focus", () => { if (cursor.hasAttribute("hidden") && svg.matches(":focus-visible")) show(); });
  }

  // copying: of the whole text, or by hand where the browser does not allow it
  for (const button of document.querySelectorAll("button.copy")) {
    const source = document.getElementById(button.dataset.copies);
    const said = document.getElementById("copied");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        said.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(source);
        said.textContent = "Selected; copy it with Ctrl-C.";
      }
    });
  }
})();
