// The report reads without this: it switches the theme, sorts and copies tables, filters arms, links places.
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

  // Copying: the table as a reader sees it, notes in brackets.
  function cellText(cell) {
    var main = cell.querySelector("bdi"), note = cell.querySelector("small");
    var text = (main || cell).textContent.trim();
    if (cell.tagName === "TH" && !main) {
      text = (cell.firstChild ? cell.firstChild.textContent : "").trim();
    }
    return note ? text + " (" + note.textContent.trim() + ")" : text;
  }
  function lines(table) {
    var rows = [], group = "";
    Array.from(table.rows).forEach(function (row) {
      if (row.className === "group") { group = row.textContent.trim(); return; }
      if (row.hidden) { return; }
      var cells = Array.from(row.cells).map(cellText);
      if (table.querySelector("tr.group")) { cells.unshift(row.closest("thead") ? "" : group); }
      rows.push(cells);
    });
    return rows;
  }
  function asCsv(rows) {
    return rows.map(function (row) {
      return row.map(function (cell) {
        var safe = /^[=+@]|^-(?![0-9.])/.test(cell) ? "'" + cell : cell;
        return /[",\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
      }).join(",");
    }).join("\n") + "\n";
  }
  function asMarkdown(rows) {
    var text = rows.map(function (row) {
      return "| " + row.map(function (cell) { return cell.replace(/[|\\]/g, "\\$&"); }).join(" | ") + " |";
    });
    text.splice(1, 0, "|" + " --- |".repeat(rows[0].length));
    return text.join("\n") + "\n";
  }
  function copy(text, done, within) {
    function old() {
      var area = document.createElement("textarea");
      area.value = text;
      (within || document.body).appendChild(area);  // a modal dialog keeps the focus
      area.select();
      document.execCommand("copy");
      area.remove();
      done();
    }
    if (navigator.clipboard) { navigator.clipboard.writeText(text).then(done, old); } else { old(); }
  }
  window.milkreport = { copy: copy };
  document.querySelectorAll("div.table").forEach(function (box) {
    var bar = document.createElement("p");
    bar.className = "copy";
    [["CSV", asCsv], ["Markdown", asMarkdown]].forEach(function (kind) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = kind[0];
      var caption = box.querySelector("caption").textContent.trim();
      button.setAttribute("aria-label", "Copy as " + kind[0] + ": " + caption);
      button.addEventListener("click", function () {
        copy(kind[1](lines(box.querySelector("table"))), function () {
          button.textContent = "copied";
          setTimeout(function () { button.textContent = kind[0]; }, 1200);
        });
      });
      bar.appendChild(button);
    });
    var scroll = box.querySelector(".scroll"), hint = document.createElement("span");
    hint.className = "hint";
    hint.textContent = "goes on to the right: scroll sideways \u2192";
    bar.insertBefore(hint, bar.firstChild);
    scroll.after(bar);
    var measure = function () { hint.hidden = scroll.scrollWidth <= scroll.clientWidth + 1; };
    measure();
    if (window.ResizeObserver) {
      var watch = new ResizeObserver(measure);
      watch.observe(scroll);
      watch.observe(scroll.firstElementChild);
    }
  });

  // Places that can be linked to.
  document.querySelectorAll("main section[id] > h2, main section[id] > h3, div.table[id], figure[id]")
    .forEach(function (place) {
      var target = /^H/.test(place.tagName) ? place.parentNode : place;
      var link = document.createElement("a");
      link.className = "anchor";
      link.href = "#" + target.id;
      link.textContent = "#";
      link.setAttribute("aria-label", "Link to this place");
      (place.querySelector("figcaption") || place.querySelector("caption") || place).appendChild(link);
    });

  // Arms: sections, and rows and columns that carry an arm's name.
  var arms = Array.from(document.querySelectorAll("section.arm"));
  if (arms.length > 1) {
    var names = arms.map(function (arm) { return arm.dataset.name.trim(); });
    var which = function (text) { return names.indexOf(text.trim()); };
    var nameText = function (cell) {
      return (cell.querySelector("bdi, button") || cell.firstChild || cell).textContent;
    };
    var shown = names.map(function () { return true; });
    var apply = function () {
      arms.forEach(function (arm, i) { arm.hidden = !shown[i]; });
      document.querySelectorAll("main table").forEach(function (table) {
        var heads = table.tHead ? Array.from(table.tHead.rows[0].cells) : [];
        var columns = heads.map(function (head) { return which(nameText(head)); });
        Array.from(table.rows).forEach(function (row) {
          if (row.closest("thead")) { return; }
          var of = row.className === "group" ? which(row.textContent) : which(nameText(row.cells[0]));
          if (row.className === "group") { row.closest("tbody").hidden = of >= 0 && !shown[of]; return; }
          var named = [of];
          if (row.cells.length > 1) { named.push(which(nameText(row.cells[1]))); }
          nameText(row.cells[0]).split(" minus ").forEach(function (name) { named.push(which(name)); });
          row.hidden = named.some(function (i) { return i >= 0 && !shown[i]; });
        });
        columns.forEach(function (of, index) {
          if (of < 0 || index === 0) { return; }
          Array.from(table.rows).forEach(function (row) {
            if (row.cells.length === heads.length) { row.cells[index].hidden = !shown[of]; }
          });
        });
      });
      document.querySelectorAll("nav.contents a").forEach(function (link) {
        var i = arms.findIndex(function (arm) { return "#" + arm.id === link.getAttribute("href"); });
        if (i >= 0) { link.parentNode.hidden = !shown[i]; }
      });
    };
    var box = document.createElement("fieldset"), legend = document.createElement("legend");
    box.className = "filter";
    legend.textContent = "Arms in tables";
    box.appendChild(legend);
    names.forEach(function (name, i) {
      var label = document.createElement("label"), tick = document.createElement("input");
      tick.type = "checkbox";
      tick.checked = true;
      tick.addEventListener("change", function () { shown[i] = tick.checked; apply(); });
      label.appendChild(tick);
      label.appendChild(document.createTextNode(" " + name));
      box.appendChild(label);
    });
    document.querySelector("nav.contents details").appendChild(box);
  }
})();
