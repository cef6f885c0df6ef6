"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const pages = [...document.querySelectorAll(".page")].map((element) => ({
    element,
    kinds: new Set(element.dataset.kinds.split(" ").filter(Boolean)),
    doc: element.querySelector("h2").textContent.toLowerCase(),
  }));
  const isDifferent = (kinds) => kinds.size > (kinds.has("kept") ? 1 : 0);

  function apply() {
    const kind = byId("kind").value;
    const doc = byId("document").value.toLowerCase();
    let shown = 0;
    for (const page of pages) {
      const fits = !kind || (kind === "error" ? isDifferent(page.kinds) : page.kinds.has(kind));
      const wanted = fits && page.doc.includes(doc);
      page.element.hidden = !wanted;
      shown += wanted;
    }
    document.body.dataset.kind = kind;
    byId("status").textContent = `${shown} of ${pages.length} pages`;
  }

  byId("kind").addEventListener("change", apply);
  byId("document").addEventListener("input", apply);
  apply();
})();
