"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  byId("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("accel-cls-theme", root.dataset.theme); } catch (refused) { /* lasts as long as the page */ }
  });

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const value = (row, at) => {
      const text = row.cells[at].textContent.trim();
      return at === 0 ? text : text === "–" ? -Infinity : Number(text.replaceAll(",", ""));
    };
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.ariaSort ? head.ariaSort !== "ascending" : at === 0;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const order = (a, b) => {
          const x = value(a, at), y = value(b, at);
          return at === 0 ? x.localeCompare(y) : x === y ? 0 : x < y ? -1 : 1;
        };
        body.append(...rows.toSorted((a, b) => (up ? order(a, b) : order(b, a))));
      });
    });
  }

  const matrix = document.querySelector(".matrix table");
  if (matrix) {
    matrix.addEventListener("pointerover", ({ target }) => {
      if (target.tagName !== "TD") return;
      const [row, column] = [target.parentNode.cells[0], matrix.tHead.rows[0].cells[target.cellIndex]];
      target.title = `${row.title}, predicted ${column.title}: ${target.textContent || 0}`;
    });
  }

  const list = byId("list");
  if (!list) return;
  const STEP = 20;
  const items = [...list.children].map((node) => ({
    node,
    text: node.textContent.toLowerCase(),
    true: (node.dataset.t || "").split(" "),
    predicted: (node.dataset.p || "").split(" "),
  }));
  let most = STEP;
  const chosen = (id) => (byId(id) ? byId(id).value : "");
  const show = () => {
    const query = byId("query").value.trim().toLowerCase();
    const [truth, said] = [chosen("true"), chosen("predicted")];
    const found = items.filter((item) =>
      item.text.includes(query) && (!truth || item.true.includes(truth)) && (!said || item.predicted.includes(said)));
    const shown = new Set(found.slice(0, most));
    for (const item of items) item.node.classList.toggle("later", !shown.has(item));
    byId("more").hidden = found.length <= most;
    byId("found").textContent = `${Math.min(most, found.length)} of ${found.length} shown`;
  };
  for (const id of ["query", "true", "predicted"]) {
    if (byId(id)) byId(id).addEventListener("input", () => { most = STEP; show(); });
  }
  list.closest("section").querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    const first = items.filter((item) => !item.node.classList.contains("later")).length;
    most += STEP;
    show();
    const next = items.filter((item) => !item.node.classList.contains("later"))[first];
    if (next) { next.node.tabIndex = -1; next.node.focus({ preventScroll: true }); }
  });
  show();
})();
