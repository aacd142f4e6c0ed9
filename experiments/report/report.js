// What a page of tables and figures can do beside being read: sort, filter, and give away what it shows. Without it all is there.
"use strict";
(() => {
  const numeric = /^[▲▼*[\s]*([+−-]?\d[\d.,\u202f]*(?:e[+−-]?\d+)?)/;
  const missing = new Set(["", "–"]);

  // A cell as a number where it begins with one, else NaN.
  const numberOf = (text) => {
    const found = text.trim().replace(/^<\s*/, "").match(numeric);
    return found ? Number(found[1].replace(/−/g, "-").replace(/[\u202f,]/g, "")) : NaN;
  };
  const textOf = (cell) => (cell.textContent.trim() || cell.querySelector("[aria-label]")?.getAttribute("aria-label") || "").replace(/[ \t\r\n]+/g, " ");

  const button = (label, told, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "tool";
    made.textContent = label;
    made.setAttribute("aria-label", told);
    made.addEventListener("click", act);
    return made;
  };

  const give = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const fileName = (label, ending) => `${label.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "").slice(0, 60)}.${ending}`;
  const tools = (...parts) => {
    const row = document.createElement("div");
    row.className = "tools";
    row.append(...parts);
    return row;
  };

  // Tables.

  const asCsv = (table) =>
    [...table.rows]
      .filter((row) => !row.hidden) // what a filter leaves
      .map((row) =>
        [...row.cells]
          .map((cell) => {
            // Numbers as programs read them.
            const text = textOf(cell).replace(/−(?=\d)/g, "-").replace(/(\d)\u202f(?=\d)/g, "$1").replace(/\u00a0/g, " ");
            return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
          })
          .join(","),
      )
      .join("\r\n") + "\r\n";

  const sortBy = (table, column, heads) => {
    const head = heads[column];
    const falling = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("n");
    const descending = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : falling;
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => {
      const text = textOf(row.cells[column]);
      return { row, text, value: numberOf(text), none: missing.has(text) };
    });
    const byNumber = keyed.every((each) => each.none || !Number.isNaN(each.value));
    keyed.sort((a, b) => {
      if (a.none || b.none) return a.none - b.none; // what is not there stays below
      const order = byNumber ? a.value - b.value : a.text.localeCompare(b.text, undefined, { numeric: true });
      return descending ? -order : order;
    });
    body.append(...keyed.map((each) => each.row));
  };

  const enrich = (table) => {
    const region = table.closest(".scroll");
    const label = region?.getAttribute("aria-label") ?? "table";
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    const plain = table.tBodies.length === 1 && !table.querySelector("[rowspan], [colspan]");
    const parts = [];
    // On a narrow screen a row is a card, in which every value has its column's name; what is a table is still called one.
    if (plain && heads.length > 2) {
      table.classList.add("cards");
      table.setAttribute("role", "table");
      for (const group of [table.tHead, ...table.tBodies]) group.setAttribute("role", "rowgroup");
      for (const row of table.rows) row.setAttribute("role", "row");
      for (const head of heads) head.setAttribute("role", "columnheader");
      for (const row of table.tBodies[0].rows) {
        [...row.cells].forEach((cell, column) => {
          cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
          cell.dataset.label = textOf(heads[column]);
          if (missing.has(textOf(cell))) cell.dataset.none = "";
        });
      }
    }
    if (plain && heads.length && table.tBodies[0].rows.length > 1) {
      heads.forEach((head, column) => {
        const sort = document.createElement("button");
        sort.type = "button";
        sort.className = "sort";
        sort.append(...head.childNodes);
        sort.addEventListener("click", () => sortBy(table, column, heads));
        head.append(sort);
      });
    }
    if (plain && heads.length > 2 && table.tBodies[0].rows.length > 1) {
      // The heads are not there then: what they sort by is chosen from a list.
      const by = document.createElement("select");
      by.className = "by";
      by.setAttribute("aria-label", `Sort: ${label}`);
      by.append(new Option("sort by …", ""), ...heads.map((head, column) => new Option(textOf(head), String(column))));
      by.addEventListener("change", () => by.value && sortBy(table, Number(by.value), heads));
      parts.push(by);
    }
    if (plain && table.tBodies[0].rows.length > 8) {
      const field = document.createElement("input");
      field.type = "search";
      field.setAttribute("aria-label", `Filter: ${label}`);
      field.placeholder = "filter rows";
      const count = document.createElement("output");
      field.addEventListener("input", () => {
        const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        let shown = 0;
        for (const row of table.tBodies[0].rows) {
          const text = textOf(row).toLowerCase();
          row.hidden = !wanted.every((word) => text.includes(word));
          shown += !row.hidden;
        }
        count.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
      });
      parts.push(field, count);
    }
    parts.push(button("CSV", `Download as CSV: ${label}`, () => give(fileName(label, "csv"), new Blob(["\ufeff", asCsv(table)], { type: "text/csv" }))));
    // The tables that answer come first; what can be done with them stands below.
    if (table.closest(".finding")) region?.after(tools(...parts));
    else (region ?? table).before(tools(...parts));
  };

  // Figures.

  // A copy that stands by itself: what the page's style sheet gives it is written into it.
  const standalone = (picture) => {
    const copy = picture.cloneNode(true);
    const own = getComputedStyle(picture);
    const root = getComputedStyle(document.documentElement);
    const [, , width, height] = picture.getAttribute("viewBox").split(/\s+/).map(Number);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", `${width}pt`);
    copy.setAttribute("height", `${height}pt`);
    copy.removeAttribute("class");
    copy.setAttribute("style", `color:${own.color};background:${root.getPropertyValue("--ground").trim()}`);
    const written = new XMLSerializer()
      .serializeToString(copy)
      .replace(/var\((--[\w-]+)\)/g, (_, name) => root.getPropertyValue(name).trim());
    return { written, width, height };
  };

  const asPng = ({ written, width, height }, done) => {
    const scale = 3;
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      canvas.width = Math.ceil(width * scale);
      canvas.height = Math.ceil(height * scale);
      const pen = canvas.getContext("2d");
      pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim();
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(done, "image/png");
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(written)}`;
  };

  const offer = (picture) => {
    const label = picture.getAttribute("aria-label").split(/[.:]/)[0];
    const frame = picture.closest(".scroll") ?? picture;
    frame.after(
      tools(
        button("SVG", `Download as SVG: ${label}`, () => give(fileName(label, "svg"), new Blob([standalone(picture).written], { type: "image/svg+xml" }))),
        button("PNG", `Download as PNG: ${label}`, () => asPng(standalone(picture), (blob) => give(fileName(label, "png"), blob))),
      ),
    );
  };

  document.querySelectorAll("table").forEach(enrich);
  // Heads that a narrow screen does not show are none that a keyboard should reach: there is a list to sort by.
  const narrow = matchMedia("(max-width: 40rem)");
  const reach = () => document.querySelectorAll(".cards .sort").forEach((each) => (each.tabIndex = narrow.matches ? -1 : 0));
  narrow.addEventListener("change", reach);
  reach();
  document.querySelectorAll("svg.plot").forEach(offer);
})();
