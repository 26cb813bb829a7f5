// The report reads without this: it only switches the theme and sorts tables.
(function () {
  "use strict";
  var root = document.documentElement, button = document.getElementById("theme");
  function stored(value) {
    try {
      if (value === undefined) { return localStorage.getItem("milkreport-theme"); }
      localStorage.setItem("milkreport-theme", value);
    } catch (error) { /* storage may be closed to a file from disk */ }
    return null;
  }
  var start = stored();
  if (start === "dark" || start === "light") { root.dataset.theme = start; }
  button.hidden = false;
  button.addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    stored(root.dataset.theme);
  });
  if (matchMedia("(max-width: 70rem)").matches) {
    document.querySelector("nav.contents details").open = false;
  }
  function key(row, index) {
    var text = row.cells[index].querySelector("bdi").textContent.trim();
    var number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
    return isNaN(number) ? text : number;
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = table.tHead.rows[0].cells, body = table.tBodies[0];
    var original = Array.from(body.rows);
    Array.from(heads).forEach(function (head, index) {
      var sorter = document.createElement("button");
      sorter.type = "button";
      while (head.firstChild) { sorter.appendChild(head.firstChild); }
      head.appendChild(sorter);
      sorter.addEventListener("click", function () {
        var next = { none: "descending", descending: "ascending", ascending: "none" };
        var order = next[head.getAttribute("aria-sort") || "none"];
        Array.from(heads).forEach(function (other) { other.removeAttribute("aria-sort"); });
        var rows = original.filter(function (row) { return row.className !== "total"; });
        if (order !== "none") {
          head.setAttribute("aria-sort", order);
          rows.sort(function (a, b) {
            var x = key(a, index), y = key(b, index);
            if (typeof x !== typeof y) { return typeof x === "number" ? -1 : 1; }
            var sign = x < y ? -1 : x > y ? 1 : 0;
            return order === "ascending" ? sign : -sign;
          });
        }
        rows.concat(original.filter(function (row) { return row.className === "total"; }))
          .forEach(function (row) { body.appendChild(row); });
      });
    });
  });
})();
