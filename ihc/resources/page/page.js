// Interactive features: sorting, highlighting a channel, other models, hiding rows, tooltips, CSV download.
// The page is complete without this script.
(function () {
  "use strict";

  var NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  // Start of a field that a spreadsheet may run as a formula, as in ihc/report/files.py.
  var FORMULA = /^('*(?:\s*[=+\-@＝＋－＠]|[\t\r\n]))/;

  // Number format of the page. Texts are read with plain spaces instead of all other white space.
  var GROUP = document.documentElement.dataset.group.replace(/\s/, " "), DECIMAL = document.documentElement.dataset.decimal;

  function all(selector, from) {
    return Array.prototype.slice.call((from || document).querySelectorAll(selector));
  }

  function button(text, label) {
    var made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (label) made.setAttribute("aria-label", label);
    return made;
  }

  function textOf(element) {
    var date = element.querySelector && element.querySelector("time");
    return date ? date.dateTime : element.textContent.replace(/\s+/g, " ").trim();
  }

  // Sorting

  function text(row, place) {
    return textOf(row.cells[place]);
  }

  // Convert a figure to plain number format, whatever the language of the page.
  function plain(value) {
    return value.split(GROUP).join("").replace(DECIMAL, ".").replace(/\u2212/g, "-").replace(/^%\s?(.*)$/, "$1%");
  }

  // The first figure of a cell; NaN if there is none.
  function figure(row, place) {
    return parseFloat(plain(text(row, place)));
  }

  function compareFigures(place, direction) {
    return function (a, b) {
      var first = figure(a, place), second = figure(b, place);
      // Cells without a figure come last in both directions.
      if (isNaN(first) || isNaN(second)) return isNaN(first) - isNaN(second);
      return direction * (first - second);
    };
  }

  function compareTexts(place, direction) {
    return function (a, b) {
      var first = text(a, place), second = text(b, place);
      if (!first || !second) return !first - !second;
      return direction * first.localeCompare(second, "en", { numeric: true });
    };
  }

  function sorted(rows, place, order) {
    if (order === "none") return rows;
    var compare = rows[0].cells[place].classList.contains("figure") ? compareFigures : compareTexts;
    return rows.slice().sort(compare(place, order === "ascending" ? 1 : -1));
  }

  function makeSortable(table) {
    var body = table.tBodies[0];
    var headings = all("th", table.tHead.rows[0]);
    var rows = all("tr", body);
    var totals = rows.filter(function (row) { return row.matches(".total") || row.querySelector("td.total"); });
    var others = rows.filter(function (row) { return totals.indexOf(row) < 0; });
    if (others.length < 2) return;

    function sortBy(place) {
      var order = NEXT[headings[place].getAttribute("aria-sort") || "none"];
      headings.forEach(function (heading) { heading.removeAttribute("aria-sort"); });
      if (order !== "none") headings[place].setAttribute("aria-sort", order);
      sorted(others, place, order).concat(totals).forEach(function (row) { body.appendChild(row); });
    }

    headings.forEach(function (heading, place) {
      if (!textOf(heading) || heading.classList.contains("unsorted")) return;
      var sort = button("");
      if (!heading.querySelector("abbr")) sort.title = "Sort by this column";
      while (heading.firstChild) sort.appendChild(heading.firstChild);
      heading.appendChild(sort);
      sort.addEventListener("click", function () { sortBy(place); });
    });
  }

  // CSV download

  function field(cell) {
    var value = textOf(cell);
    var number = plain(value).replace(/\s+(?=%$)/, "");
    if (cell.classList.contains("figure") && /^-?\d*\.?\d+%?$/.test(number)) return number;
    value = value.replace(FORMULA, "'$1");
    return /[",\n\r]/.test(value) ? '"' + value.replace(/"/g, '""') + '"' : value;
  }

  function download(box) {
    var rows = all("tr", box.querySelector("table")).map(function (row) {
      return all("th, td", row).map(function (cell) {
        var drawn = cell.querySelector("svg[data-tip]");
        return drawn ? field({ textContent: drawn.dataset.tip, classList: cell.classList }) : field(cell);
      }).join(",");
    });
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([rows.join("\n") + "\n"], { type: "text/csv" }));
    link.download = box.dataset.name + ".csv";
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }

  function offerCsv(box) {
    var get = button("CSV", "Download as CSV: " + box.getAttribute("aria-label").replace("Table: ", ""));
    get.className = "csv";
    get.addEventListener("click", function () { download(box); });
    var tools = box.parentNode.querySelector(":scope > .bar > .tools");
    if (tools) tools.appendChild(get);
    else box.parentNode.insertBefore(get, box.nextSibling);
  }

  // Highlighting a channel

  var places = new Map();  // elements by channel name; a Map is safe for any name

  function known(name, element) {
    if (!places.has(name)) places.set(name, []);
    places.get(name).push(element);
  }

  function mark(name) {
    var isOn = places.get(name).some(function (element) { return element.classList.contains("marked"); });
    places.forEach(function (elements, other) {
      elements.forEach(function (element) {
        var on = !isOn && other === name;
        element.classList.toggle("marked", on);
        if (element.matches("button")) element.setAttribute("aria-pressed", String(on));
      });
    });
    document.body.classList.toggle("marking", !isOn);
  }

  function nameButton(cell, name) {
    var pick = button("");
    pick.className = "name";
    pick.title = "Highlight this channel everywhere";
    pick.setAttribute("aria-pressed", "false");
    while (cell.firstChild) pick.appendChild(cell.firstChild);
    cell.appendChild(pick);
    pick.addEventListener("click", function () { mark(name); });
    known(name, pick);
    known(name, cell.parentNode);
  }

  function nameOf(shown, names) {
    if (names.has(shown)) return shown;
    if (shown.slice(-1) !== "…") return null;
    var found = Array.from(names).filter(function (name) { return name.indexOf(shown.slice(0, -1)) === 0; });
    return found.length === 1 ? found[0] : null;
  }

  function makeMarkable() {
    var names = new Set(all("[data-channel]").map(function (cell) { return cell.dataset.channel.replace(/\s+/g, " ").trim(); }));
    all("table.ihc tbody tr").forEach(function (row) {
      var cell = row.cells[0], name = cell && nameOf(textOf(cell), names);
      if (name && !row.matches(".total") && !cell.classList.contains("total")) nameButton(cell, name);
    });
    all("svg.chart text").forEach(function (element) {
      var name = nameOf(textOf(element), names);
      if (!name) return;
      element.classList.add("name");
      element.addEventListener("click", function () { mark(name); });
      known(name, element);
    });
  }

  // Other models, and channels without spend

  function switchModel(select) {
    var note = document.querySelector(".modelled"), chosen = Number(select.value);
    all("[data-models]").forEach(function (cell) { cell.textContent = JSON.parse(cell.dataset.models)[chosen]; });
    document.querySelector(".verdict-table").classList.toggle("other-model", chosen > 0);
    note.hidden = !chosen;
    note.textContent = chosen ? "Revenue and ROAS under " + select.options[chosen].text + ". Interval, verdict and robustness are those of IHC." : "";
  }

  function switchCostless(control) {
    var on = control.getAttribute("aria-pressed") !== "true";
    control.setAttribute("aria-pressed", String(on));
    all("tr.costless").forEach(function (row) { row.hidden = on; });
  }

  // Tooltips on keyboard focus, for values and headings

  function showTip(event) {
    var target = event.target, tip = document.getElementById("tip");
    var inside = target.querySelector && target.matches("th button") ? target.querySelector("abbr") : null;
    var says = (target.dataset && target.dataset.tip) || (inside && inside.title);
    tip.hidden = !says;
    if (!says) return;
    tip.textContent = says;
    var box = target.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(box.left, window.innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = box.bottom + 6 + "px";
  }

  function openForPaper() {
    all("details.section").forEach(function (section) {
      if (section.open) return;
      section.open = true;
      window.addEventListener("afterprint", function () { section.open = false; }, { once: true });
    });
  }

  var select = document.getElementById("model"), control = document.getElementById("costless");
  all(".tools").forEach(function (tools) { tools.hidden = false; });
  control.hidden = !document.querySelector("tr.costless");
  select.value = "0";
  select.addEventListener("change", function () { switchModel(select); });
  control.addEventListener("click", function () { switchCostless(control); });
  all("table.ihc:not(.fixed)").forEach(makeSortable);
  makeMarkable();
  all(".table[data-name]").forEach(offerCsv);
  document.addEventListener("focusin", showTip);
  document.addEventListener("focusout", function () { document.getElementById("tip").hidden = true; });
  window.addEventListener("beforeprint", openForPaper);
  if (location.hash) {
    var aim = document.getElementById(location.hash.slice(1)), around = aim && aim.closest("details");
    if (around) around.open = true;
  }
})();
