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
      return at === 0 ? text : text === "–" ? -Infinity : Number(text.replace(/[,<\s]/g, "").replace("−", "-"));
    };
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if ("unsorted" in head.dataset) return;
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

  const STEP = 20;
  for (const form of document.querySelectorAll("form[data-list]")) {
    const more = byId(`${form.dataset.list}-more`);
    const items = [...byId(form.dataset.list).children].map((node) => ({ node, text: node.textContent.toLowerCase() }));
    let most = STEP;
    const show = () => {
      const query = form.querySelector("input").value.trim().toLowerCase();
      const chosen = [...form.querySelectorAll("select")].filter((one) => one.value);
      const found = items.filter(({ node, text }) => text.includes(query)
        && chosen.every((one) => (node.dataset[one.dataset.of] || "").split(" ").includes(one.value)));
      const shown = new Set(found.slice(0, most));
      for (const item of items) item.node.classList.toggle("later", !shown.has(item));
      more.hidden = found.length <= most;
      form.querySelector("output").textContent = `${Math.min(most, found.length)} of ${found.length} shown`;
    };
    form.addEventListener("input", () => { most = STEP; show(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      const first = items.filter((item) => !item.node.classList.contains("later")).length;
      most += STEP;
      show();
      const next = items.filter((item) => !item.node.classList.contains("later"))[first];
      if (next) { next.node.tabIndex = -1; next.node.focus({ preventScroll: true }); }
    });
    show();
  }
})();
