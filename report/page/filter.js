"use strict";
// Narrows the lists of findings. Without this script the page shows all of them.
(function () {
  var bar = document.getElementById("filter");
  var rows = document.querySelectorAll("tr[data-severity]");
  if (!bar || rows.length === 0) return;
  var words = document.getElementById("filter-text");
  var fixable = document.getElementById("filter-fixable");
  var count = document.getElementById("filter-count");
  var boxes = bar.querySelectorAll("input[name=severity]");
  function apply() {
    var wanted = {}, shown = 0, text = words.value.trim().toLowerCase();
    boxes.forEach(function (box) { wanted[box.value] = box.checked; });
    rows.forEach(function (row) {
      var fits = wanted[row.dataset.severity] && (!fixable.checked || row.dataset.state === "fixed") &&
        (text === "" || (row.dataset.package + " " + row.textContent).toLowerCase().indexOf(text) >= 0);
      row.hidden = !fits;
      if (fits) shown++;
    });
    count.textContent = shown + " of " + rows.length + " findings";
  }
  bar.hidden = false;
  bar.addEventListener("input", apply);
  apply();
})();
