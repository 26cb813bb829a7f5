// The cases behind a number: unpacked when they are first asked for, filtered and sorted in a dialog.
(function () {
  "use strict";
  if (!window.HTMLDialogElement) { return; }
  var AT_ONCE = 100;
  var record = null, pictures = {}, opener = null, exact = null, shown = AT_ONCE, order = null;

  function make(name, attributes, children) {
    var element = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (key) { element.setAttribute(key, attributes[key]); });
    (children || []).forEach(function (child) { element.append(child); });
    return element;
  }
  // Names and ids are anybody's: always text, never markup, and nothing in them is obeyed.
  function printable(text) { return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd"); }
  function bdi(text) { return make("bdi", {}, [printable(text)]); }

  function unpack() {
    var text = atob(document.getElementById("cases").textContent);
    var bytes = Uint8Array.from(text, function (letter) { return letter.charCodeAt(0); });
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  }

  // The dialog, made once.
  var title = make("h2", { id: "cases-title", tabindex: "-1", autofocus: "" });
  var close = make("button", { type: "button", "class": "close", "aria-label": "Close" }, ["\u00d7"]);
  var fields = make("div", { "class": "fields", role: "search", "aria-label": "Filter the list" });
  var status = make("p", { role: "status" }), code = make("pre", { tabindex: "0", "aria-label": "How to read the file" });
  var body = make("tbody"), head = make("tr");
  var table = make("table", {}, [make("thead", {}, [head]), body]);
  var scroll = make("div", { "class": "scroll", tabindex: "0", role: "region", "aria-labelledby": "cases-title" }, [table]);
  var more = make("button", { type: "button" }), csv = make("button", { type: "button" }, ["Copy as CSV"]);
  var dialog = make("dialog", { "class": "cases", "aria-labelledby": "cases-title" }, [
    make("div", { "class": "inside" }, [
      make("header", {}, [title, close]), fields, status, scroll, code, make("footer", {}, [csv, more])])]);
  document.body.append(dialog);
  close.addEventListener("click", function () { dialog.close(); });
  dialog.addEventListener("click", function (event) { if (event.target === dialog) { dialog.close(); } });
  dialog.addEventListener("close", function () { if (opener) { opener.focus(); } });

  var inputs = {};
  function field(name, label, input) {
    inputs[name] = input;
    fields.append(make("label", {}, [make("span", {}, [label]), input]));
    input.addEventListener("input", function () { exact = null; shown = AT_ONCE; list(); });
  }
  function select(name, label, choices) {
    field(name, label, make("select", {}, choices.map(function (choice) {
      return make("option", { value: choice[0] }, [printable(choice[1])]);
    })));
  }
  function build() {
    var classes = record.classes.map(function (name, i) { return [String(i), name]; });
    field("text", "Text", make("input", { type: "text", autocomplete: "off", spellcheck: "false" }));
    select("truth", "True class", [["", "all"]].concat(classes));
    select("answer", "Answer", [["", "all"], ["wrong", "wrong"], ["right", "right"]].concat(classes));
    select("arm", "Arm", [["", "all"]].concat(record.arms.map(function (arm) { return [arm.name, arm.title]; })));
    var groups = [["", "all"]];
    record.groups.forEach(function (group, g) {
      group.values.forEach(function (value, v) { groups.push([g + "." + v, group.name + " = " + value]); });
    });
    if (groups.length > 1) { select("group", "Subgroup", groups); }
    document.querySelectorAll("article[data-opens]").forEach(function (article) {
      var picture = article.querySelector("img");
      if (picture) { pictures[new URLSearchParams(article.dataset.opens).get("id")] = picture.src; }
    });
    if (record.ids) { heads(); }
    [scroll, csv, more].forEach(function (part) { part.hidden = !record.ids; });
    code.hidden = Boolean(record.ids);
    if (!record.ids) { inputs.text.closest("label").hidden = true; }
  }

  // A row is a case, an arm and one of its answers, as in the file beside the report.
  function rows() {
    var words = inputs.text.value.toLowerCase(), truth = inputs.truth.value, answer = inputs.answer.value;
    var group = inputs.group && inputs.group.value ? inputs.group.value.split(".").map(Number) : null;
    var codes = group && record.groups[group[0]].codes, found = [];
    record.arms.forEach(function (arm) {
      if (inputs.arm.value && arm.name !== inputs.arm.value) { return; }
      arm.answer.forEach(function (given, r) {
        var c = arm.case ? arm.case[r] : r, t = record.truth[c], id = record.ids[c];
        if (truth && t !== Number(truth)) { return; }
        if (answer === "wrong" ? given === t : answer === "right" ? given !== t : answer && given !== Number(answer)) { return; }
        if (codes && codes[c] !== group[1]) { return; }
        if (exact !== null ? id !== exact : words && !(id + "\n" + record.classes[t] + "\n" + record.classes[given])
          .toLowerCase().includes(words)) { return; }
        found.push({ id: id, truth: t, answer: given, arm: arm, n: arm.n ? arm.n[r] : 1,
          top: arm.top ? arm.top[r] / 1000 : null, own: arm.own ? arm.own[r] / 1000 : null });
      });
    });
    if (order) {
      var value = columns[order.column].sort, sign = order.down ? -1 : 1;
      found.sort(function (a, b) {
        var x = value(a), y = value(b);
        if (x === null || y === null) { return (x === null) - (y === null); }
        return sign * (x < y ? -1 : x > y ? 1 : 0);
      });
    }
    return found;
  }
  function decimal(value) { return value === null ? "\u2014" : value.toFixed(3); }
  var columns = {
    id: { title: "Case", text: true, sort: function (row) { return row.id; }, show: function (row) { return bdi(row.id); } },
    truth: { title: "True class", text: true, sort: function (row) { return row.truth; },
      show: function (row) { return bdi(record.classes[row.truth]); } },
    answer: { title: "Answer", text: true, sort: function (row) { return row.answer; },
      show: function (row) { return make(row.answer === row.truth ? "span" : "strong", {}, [bdi(record.classes[row.answer])]); } },
    arm: { title: "Arm", text: true, sort: function (row) { return record.arms.indexOf(row.arm); },
      show: function (row) { return bdi(row.arm.title); } },
    top: { title: "P(answer)", sort: function (row) { return row.top; }, show: function (row) { return decimal(row.top); } },
    own: { title: "P(true class)", sort: function (row) { return row.own; }, show: function (row) { return decimal(row.own); } },
    n: { title: "Seeds", sort: function (row) { return row.n; }, show: function (row) { return row.n + " of " + row.arm.seeds; } },
    picture: { title: "Image", show: function (row) {
      return row.id in pictures ? make("img", { src: pictures[row.id], alt: "" }) : ""; } },
  };
  function used() {
    var arms = record.arms;
    return Object.keys(columns).filter(function (key) {
      if (key === "top" || key === "own") { return arms.some(function (arm) { return arm.top; }); }
      if (key === "n") { return arms.some(function (arm) { return arm.seeds > 1; }); }
      return key !== "picture" || Object.keys(pictures).length > 0;
    });
  }
  function heads() {
    used().forEach(function (key) {
      var column = columns[key], cell = make("th", { scope: "col", "data-key": key });
      if (column.text) { cell.className = "text"; }
      if (!column.sort) { cell.append(column.title); head.append(cell); return; }
      var button = make("button", { type: "button" }, [column.title]);
      button.addEventListener("click", function () {
        var first = !column.text;  // numbers from the largest, names from the first
        order = !order || order.column !== key ? { column: key, down: first }
          : order.down === first ? { column: key, down: !first } : null;
        list();
      });
      cell.append(button);
      head.append(cell);
    });
  }

  function chosen(name) {
    var input = inputs[name];
    return input && input.value ? input.options[input.selectedIndex].textContent : "";
  }
  function heading() {
    var truth = chosen("truth"), answer = chosen("answer");
    if (/^(right|wrong)$/.test(inputs.answer.value)) { answer += " answers"; } else if (answer) { answer = "answer " + answer; }
    var parts = [truth && "True class " + truth, answer, chosen("group"), chosen("arm"), exact !== null && printable(exact)];
    var text = parts.filter(Boolean).join(", ");
    return text ? text.charAt(0).toUpperCase() + text.slice(1) : "All " + record.units;
  }
  function plural(n, one, many) { return n.toLocaleString("en") + " " + (n === 1 ? one : many); }
  function list() {
    title.textContent = heading();
    if (!record.ids) { explain(); return; }
    var found = rows(), cases = new Set(found.map(function (row) { return row.id; })).size;
    var answers = found.reduce(function (sum, row) { return sum + row.n; }, 0);
    var counted = plural(cases, record.unit, record.units);
    status.textContent = answers === cases ? counted : plural(answers, "answer", "answers") + " to " + counted;
    Array.from(head.cells).forEach(function (cell) {
      cell.removeAttribute("aria-sort");
      if (order && order.column === cell.dataset.key) { cell.setAttribute("aria-sort", order.down ? "descending" : "ascending"); }
    });
    var keys = used(), lines = document.createDocumentFragment();
    found.slice(0, shown).forEach(function (row) {
      lines.append(make("tr", {}, keys.map(function (key, i) {
        var cell = make(i ? "td" : "th", i ? {} : { scope: "row" }, [columns[key].show(row)]);
        if (columns[key].text) { cell.classList.add("text"); }
        return cell;
      })));
    });
    body.replaceChildren(lines);
    var left = found.length - shown;
    more.hidden = left <= 0;
    more.textContent = "Show " + Math.min(left, AT_ONCE) + " more of " + plural(left, "row", "rows");
  }
  more.addEventListener("click", function () {
    var first = shown;
    shown += AT_ONCE;
    list();
    if (more.hidden) { scroll.focus(); }
    body.rows[first].scrollIntoView({ block: "nearest" });
  });

  // Too many for a page: the line that lists them from the file.
  function explain() {
    var truth = inputs.truth.value, answer = inputs.answer.value, tests = [];
    if (inputs.arm.value) { tests.push("arm == " + JSON.stringify(inputs.arm.value)); }
    if (truth) { tests.push("label == " + JSON.stringify(record.classes[truth])); }
    if (answer === "wrong" || answer === "right") { tests.push("predicted " + (answer === "wrong" ? "!=" : "==") + " label"); }
    else if (answer) { tests.push("predicted == " + JSON.stringify(record.classes[answer])); }
    status.textContent = record.note;
    code.textContent = "cases = pandas.read_csv(" + JSON.stringify(record.file) + ", dtype={\"case_id\": str})"
      + (tests.length ? "\ncases.query(" + JSON.stringify(tests.join(" and ")).replace(/^"|"$/g, "'").replace(/\\"/g, "\"") + ")" : "");
  }

  // As the file beside the report: the same columns, and nothing that a spreadsheet would run.
  function quoted(text) {
    var safe = /^'*[=+\-@\t\r]/.test(text) ? "'" + text : text;
    return /[",\r\n]/.test(safe) ? "\"" + safe.replace(/"/g, "\"\"") + "\"" : safe;
  }
  csv.addEventListener("click", function () {
    var lines = ["arm,case_id,label,predicted,n_seeds,probability,probability_of_label"];
    rows().forEach(function (row) {
      var names = [row.arm.name, row.id, record.classes[row.truth], record.classes[row.answer]].map(quoted);
      var numbers = [row.top, row.own].map(function (value) { return value === null ? "" : String(value); });
      lines.push(names.concat(row.n, numbers).join(","));
    });
    window.milkreport.copy(lines.join("\n") + "\n", function () {
      csv.textContent = "copied";
      setTimeout(function () { csv.textContent = "Copy as CSV"; }, 1200);
    }, dialog);
  });

  function open(place, query) {
    opener = place;
    var asked = new URLSearchParams(query);
    Object.keys(inputs).forEach(function (name) { inputs[name].value = asked.get(name) || ""; });
    exact = asked.get("id");
    inputs.text.value = exact || "";
    if (asked.has("column") && inputs.group) {
      record.groups.forEach(function (group, g) {
        var v = group.name === asked.get("column") ? group.values.indexOf(asked.get("value")) : -1;
        if (v >= 0) { inputs.group.value = g + "." + v; }
      });
    }
    order = asked.has("sort") && used().includes(asked.get("sort")) ? { column: asked.get("sort"), down: true } : null;
    shown = AT_ONCE;
    list();
    dialog.showModal();
    scroll.scrollTop = 0;
  }
  function ask(place) {
    if (record) { open(place, place.dataset.opens); return; }
    new Promise(function (done) { done(unpack()); }).then(function (found) {
      record = found;
      build();
      open(place, place.dataset.opens);
    }).catch(function () {
      opener = place;
      title.textContent = "No list in this browser";
      status.textContent = "It cannot unpack the cases; they are in confusions.csv, beside this report.";
      [fields, scroll, code, csv, more].forEach(function (part) { part.hidden = true; });
      dialog.showModal();
    });
  }
  function listing(button, query) {
    button.dataset.opens = query;
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", function () { ask(button); });
    return button;
  }

  // Names in tables and headings become buttons.
  document.querySelectorAll("tr[data-opens], article[data-opens], p > [data-opens]").forEach(function (place) {
    var name = place.querySelector("bdi") || place.firstChild, query = place.dataset.opens;
    var button = listing(make("button", { type: "button", "class": "opens" }), query);
    if (place.tagName === "TR") { button.title = "List these cases"; }
    name.before(button);
    button.append(name);
    if (place.tagName !== "ARTICLE") { place.removeAttribute("data-opens"); }
  });
  document.querySelectorAll("[data-cases]").forEach(function (part) { part.hidden = false; });

  // Cells of a drawing: buttons above them, one of which Tab reaches; arrow keys move among the others.
  var STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  document.querySelectorAll("figure svg:has(rect[data-opens])").forEach(function (svg) {
    var box = svg.viewBox.baseVal, buttons = [];
    var layer = make("div", { "class": "layer", role: "group", "aria-label":
      "Cells of the confusion matrix: arrow keys move, Enter lists the cases" });
    svg.querySelectorAll("rect[data-opens]").forEach(function (spot) {
      var text = spot.querySelector("title").textContent, asked = new URLSearchParams(spot.dataset.opens);
      var button = listing(make("button", { type: "button", title: text, "aria-label": text, tabindex: "-1" }), spot.dataset.opens);
      var place = { left: [spot.x, box.width], top: [spot.y, box.height], width: [spot.width, box.width], height: [spot.height, box.height] };
      Object.keys(place).forEach(function (side) {
        button.style[side] = (100 * place[side][0].baseVal.value / place[side][1]).toFixed(3) + "%";
      });
      button.at = ["truth", "answer"].map(function (name) { return asked.has(name) ? Number(asked.get(name)) : Infinity; });
      buttons.push(button);
    });
    buttons[0].tabIndex = 0;
    layer.append.apply(layer, buttons);
    layer.addEventListener("focusin", function (event) {
      buttons.forEach(function (button) { button.tabIndex = button === event.target ? 0 : -1; });
    });
    layer.addEventListener("keydown", function (event) {
      var step = STEPS[event.key], from = event.target.at;
      if (!step) { return; }
      var along = step[0] ? 0 : 1, sign = step[0] + step[1];
      event.preventDefault();
      var ahead = buttons.filter(function (button) {
        return button.at[1 - along] === from[1 - along] && sign * (button.at[along] > from[along] ? 1 : button.at[along] < from[along] ? -1 : 0) > 0;
      }).sort(function (a, b) { return a.at[along] === b.at[along] ? 0 : sign * (a.at[along] > b.at[along] ? 1 : -1); });
      if (ahead.length) { ahead[0].focus(); }
    });
    var frame = make("div", { "class": "cells" });
    svg.before(frame);
    frame.append(svg, layer);
  });
})();
