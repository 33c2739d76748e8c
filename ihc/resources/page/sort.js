// Makes the headings of tables buttons that sort: up, down, and back to the order that was. The page is whole without.
(function () {
  "use strict";

  var NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  function text(row, place) {
    return row.cells[place].textContent.trim();
  }

  // The first figure of a cell, without its thousands separators; NaN where there is none.
  function figure(row, place) {
    return parseFloat(text(row, place).replace(/,/g, "").replace(/\u2212/g, "-"));
  }

  function compareFigures(place, direction) {
    return function (a, b) {
      var first = figure(a, place), second = figure(b, place);
      // What has no figure stays last, whatever the direction.
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
    var headings = Array.prototype.slice.call(table.tHead.rows[0].cells);
    var rows = Array.prototype.slice.call(body.rows);
    var totals = rows.filter(function (row) { return row.querySelector("td.total"); });
    var others = rows.filter(function (row) { return totals.indexOf(row) < 0; });
    if (others.length < 2) return;

    function sortBy(place) {
      var order = NEXT[headings[place].getAttribute("aria-sort") || "none"];
      headings.forEach(function (heading) { heading.removeAttribute("aria-sort"); });
      if (order !== "none") headings[place].setAttribute("aria-sort", order);
      sorted(others, place, order).concat(totals).forEach(function (row) { body.appendChild(row); });
    }

    headings.forEach(function (heading, place) {
      if (!heading.textContent.trim()) return;
      var button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      while (heading.firstChild) button.appendChild(heading.firstChild);
      heading.appendChild(button);
      button.addEventListener("click", function () { sortBy(place); });
    });
  }

  Array.prototype.forEach.call(document.querySelectorAll("table.ihc:not(.fixed)"), makeSortable);
})();
