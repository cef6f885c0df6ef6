"use strict";
// Whatever comes from the pages goes into the document as text or as a data attribute, never as HTML.
(() => {
  const byId = (id) => document.getElementById(id);
  const STATES = { marked: "", without_spans: "without spans", failed: "failed", changed: "text changed since the publication" };
  const PAGE_MARGIN = 1200;
  const FOLD_MARGIN = 4000;
  const FOLD_PAGES = 40;
  const PRINTED = 300;
  const DOUBTFUL = 500;
  const SURE = 800;
  const LANE = 4;

  const packed = { marks: [], texts: [] };
  const contents = [];
  const labels = new Map();
  let outcomes = {};
  let pages = [];
  let shown = [];
  let folds = [];
  let stops = [];
  // The stop that is marked as current, or, after going to a page, none and the one that comes next.
  let at = null;
  let next = 0;
  let currentPage = null;
  let pattern = null;
  let generation = 0;
  const chosen = new Set();

  async function unpack(element) {
    const binary = atob(element.textContent);
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // The pages of a chunk, unpacked once.
  function chunk(number) {
    if (!contents[number]) {
      const element = packed.texts[number];
      contents[number] = unpack(element).then((content) => {
        element.remove();
        return content;
      });
    }
    return contents[number];
  }

  async function content(page) {
    const [text, rejected] = (await chunk(page.chunk))[page.place];
    return { text, rejected };
  }

  async function load() {
    for (const element of document.querySelectorAll("script[data-chunk]")) {
      if (element.dataset.chunk === "about") {
        const about = await unpack(element);
        outcomes = about.outcomes;
        for (const [name, title, colour, ink] of about.labels) labels.set(name, { title, colour, ink });
      } else packed[element.dataset.chunk].push(element);
    }
    const all = await Promise.all(packed.marks.map(unpack));
    all.forEach((chunkPages, number) => {
      packed.marks[number].remove();
      chunkPages.forEach(([doc, num, state, reason, lines, rejected, spans], place) => {
        const page = { index: pages.length, chunk: number, place, doc, num, state, reason, lines, rejected };
        page.spans = spans.map(([label, start, end, confidence]) => ({ label, start, end, confidence }));
        pages.push(page);
      });
    });
  }

  // Filters and order.
  function range() {
    const number = (id, otherwise) => {
      const value = byId(id).valueAsNumber;
      return Number.isNaN(value) ? otherwise : Math.round(value * 1000);
    };
    const unknown = byId("unknown");
    return { low: number("low", 0), high: number("high", 1000), unknown: !unknown || unknown.checked };
  }

  function wantsSpans({ low, high, unknown }) {
    return chosen.size > 0 || low > 0 || high < 1000 || !unknown;
  }

  function fits(span, { low, high, unknown }) {
    if (chosen.size && !chosen.has(span.label)) return false;
    return span.confidence === null ? unknown : span.confidence >= low && span.confidence <= high;
  }

  function inState(page, state) {
    return !state || (state === "rejected" ? page.rejected > 0 : page.state === state);
  }

  async function apply() {
    const mine = ++generation;
    const wanted = range();
    const state = byId("state").value;
    const doc = byId("document").value.toLowerCase();
    const text = byId("text").value;
    const matcher = text ? new RegExp(text.replace(/[\\^$.*+?()[\]{}|\/-]/g, "\\$&"), "giu") : null;
    const needsSpan = wantsSpans(wanted);
    let found = pages.filter((page) => {
      page.fitting = page.spans.map((span) => fits(span, wanted));
      return inState(page, state) && page.doc.toLowerCase().includes(doc) && (!needsSpan || page.fitting.includes(true));
    });
    if (matcher) {
      const having = [];
      for (const page of found) {
        const each = await content(page);
        if (mine !== generation) return;
        matcher.lastIndex = 0;
        if (matcher.test(each.text)) having.push(page);
      }
      found = having;
    }
    pattern = matcher;
    show(found, byId("order").value === "doubt");
  }

  const doubt = (span) => span.confidence ?? 1001;

  function show(found, byDoubt) {
    const fitting = new Map(found.map((page) => [page, page.spans.map((_, index) => index).filter((index) => page.fitting[index])]));
    if (byDoubt) {
      const lowest = new Map();
      for (const [page, places] of fitting) {
        places.sort((one, other) => doubt(page.spans[one]) - doubt(page.spans[other]));
        lowest.set(page, places.length ? doubt(page.spans[places[0]]) : 1002);
      }
      found = [...found].sort((one, other) => lowest.get(one) - lowest.get(other) || one.index - other.index);
    }
    shown = found;
    stops = found.flatMap((page) => fitting.get(page).map((span) => ({ page, span })));
    at = null;
    next = 0;
    currentPage = null;
    found.forEach((page, order) => (page.order = order));
    lay();
    document.body.classList.toggle("filtered", chosen.size > 0);
    byId("all-labels").hidden = !chosen.size;
    dimBins();
    say();
    window.scrollTo(0, 0);
  }

  function say() {
    const count = (number) => number.toLocaleString("en");
    const all = pages.reduce((sum, page) => sum + page.spans.length, 0);
    const where = at !== null ? `${count(at + 1)} of ` : "";
    byId("status").textContent =
      `${count(shown.length)} of ${count(pages.length)} pages · ${where}${count(stops.length)}` +
      (stops.length === all ? " suggestions" : ` of ${count(all)} suggestions`);
  }

  function dimBins() {
    const { low, high } = range();
    for (const bin of document.querySelectorAll(".confidences .bin")) {
      const [from, to] = [bin.dataset.low * 1000, bin.dataset.high * 1000];
      bin.classList.toggle("out", to <= low || from > high);
    }
  }

  // A browser slows down with thousands of boxes. So there is one for each fold of pages; a fold that comes near
  // gets boxes for its pages, and a page that comes nearer still is drawn.
  function lay() {
    foldWatcher.disconnect();
    pageWatcher.disconnect();
    for (const page of pages) page.element = page.drawn = null;
    folds = [];
    for (let first = 0; first < shown.length; first += FOLD_PAGES) {
      const fold = { pages: shown.slice(first, first + FOLD_PAGES), element: node("div", "fold"), isOpen: false };
      for (const page of fold.pages) page.fold = fold;
      fold.element.dataset.fold = folds.length;
      fold.element.style.minHeight = `${fold.pages.reduce((sum, page) => sum + height(page) + 16, 0)}px`;
      folds.push(fold);
    }
    byId("pages").replaceChildren(...folds.map((fold) => fold.element));
    for (const fold of folds) foldWatcher.observe(fold.element);
  }

  const height = (page) => page.height ?? 90 + page.lines * 25;

  const foldWatcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const fold = folds[entry.target.dataset.fold];
      if (fold?.element !== entry.target) continue;
      if (entry.isIntersecting) open(fold);
      else close(fold, entry.boundingClientRect.height);
    }
  }, { rootMargin: `${FOLD_MARGIN}px 0px` });

  const pageWatcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const page = pages[entry.target.dataset.page];
      if (page.element !== entry.target) continue;
      if (entry.isIntersecting) draw(page);
      else if (page.drawn) empty(page, entry.boundingClientRect.height);
    }
  }, { rootMargin: `${PAGE_MARGIN}px 0px` });

  function open(fold) {
    if (fold.isOpen) return;
    fold.isOpen = true;
    for (const page of fold.pages) {
      page.element = node("article", `page ${page.state}`);
      page.element.dataset.page = page.index;
      page.element.style.minHeight = `${height(page)}px`;
    }
    fold.element.replaceChildren(...fold.pages.map((page) => page.element));
    fold.element.style.minHeight = "";
    for (const page of fold.pages) pageWatcher.observe(page.element);
  }

  function close(fold, tall) {
    if (!fold.isOpen || currentPage?.fold === fold) return;
    fold.isOpen = false;
    fold.element.style.minHeight = `${tall}px`;
    for (const page of fold.pages) {
      pageWatcher.unobserve(page.element);
      page.element = page.drawn = null;
    }
    fold.element.replaceChildren();
  }

  function empty(page, tall) {
    if (page === currentPage) return;
    page.height = tall;
    page.element.style.minHeight = `${tall}px`;
    page.element.replaceChildren();
    page.drawn = null;
  }

  function draw(page) {
    const { element } = page;
    page.drawn ??= content(page).then((each) => {
      if (!page.drawn || page.element !== element) return;
      const parts = [heading(page)];
      if (each.text) parts.push(textOf(page, each.text));
      else parts.push(node("p", "empty", page.state === "failed" ? "the text could not be used" : "no text"));
      if (each.rejected.length) parts.push(rejectedOf(each.rejected));
      element.replaceChildren(...parts);
      element.style.minHeight = "";
      highlight();
    });
    return page.drawn;
  }

  function node(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function heading(page) {
    const header = node("header");
    const title = node("h2");
    title.append(node("bdi", "", page.doc), page.num === null ? "" : ` · page ${page.num}`);
    header.append(title);
    const line = node("span", "facts-line");
    const words = [];
    if (STATES[page.state]) words.push(STATES[page.state]);
    if (page.spans.length) words.push(`${page.spans.length} suggestion${page.spans.length === 1 ? "" : "s"}`);
    line.append(words.join(" · "));
    if (page.reason) line.append(": ", node("bdi", "why", page.reason));
    const known = page.spans.map((span) => span.confidence).filter((confidence) => confidence !== null);
    if (known.length) {
      const least = Math.min(...known);
      line.append(" · lowest ", node("span", least < DOUBTFUL ? "low" : "", number(least)));
    }
    header.append(line);
    return header;
  }

  const number = (confidence) => (confidence === null ? "?" : (confidence / 1000).toFixed(2).replace(/^0/, ""));

  // Offsets count code points; JavaScript's strings count UTF-16 units.
  function units(text) {
    if (!/[\ud800-\udbff]/.test(text)) return (offset) => offset;
    const places = [];
    let place = 0;
    for (const character of text) {
      places.push(place);
      place += character.length;
    }
    places.push(place);
    return (offset) => places[offset];
  }

  function textOf(page, text) {
    const unit = units(text);
    const spans = page.spans.map((span, index) => ({
      ...span, index, from: unit(span.start), to: unit(span.end), fits: page.fitting[index],
    }));
    const ordered = [...spans].sort((one, other) => one.from - other.from || other.to - one.to);
    const ends = [];
    for (const span of ordered) {
      let lane = ends.findIndex((end) => end <= span.from);
      if (lane < 0) lane = ends.length;
      ends[lane] = span.to;
      span.lane = lane;
    }
    const borders = [...new Set([0, text.length, ...spans.flatMap((span) => [span.from, span.to])])].sort((one, other) => one - other);
    const box = node("div", "text");
    for (let index = 0; index + 1 < borders.length; index++) {
      const [from, to] = [borders[index], borders[index + 1]];
      const covering = ordered.filter((span) => span.from < to && span.to > from);
      const piece = text.slice(from, to);
      if (!covering.length) {
        box.append(piece);
        continue;
      }
      box.append(markOf(covering, piece));
      for (const span of covering.filter((each) => each.to === to && each.fits).reverse()) box.append(tagOf(span));
    }
    return box;
  }

  const colourOf = (name) => labels.get(name)?.colour ?? "#999999";

  function markOf(covering, piece) {
    const mark = node("span", "mark", piece);
    mark.dataset.spans = covering.map((span) => span.index).join(" ");
    mark.title = covering
      .map((span) => `${labels.get(span.label)?.title ?? span.label} ${span.start}-${span.end}, confidence ${span.confidence === null ? "unknown" : (span.confidence / 1000).toFixed(3)}`)
      .join("\n");
    const fitting = covering.filter((span) => span.fits);
    if (!fitting.length) {
      mark.classList.add("out");
      return mark;
    }
    const layers = fitting.map(underline);
    const inner = fitting[fitting.length - 1];
    const share = inner.confidence === null ? 0.5 : 0.25 + (0.75 * inner.confidence) / 1000;
    const tint = `color-mix(in srgb, ${colourOf(inner.label)} calc(var(--tint) * ${share.toFixed(2)}), transparent)`;
    mark.style.backgroundImage = [...layers.map((layer) => layer.image), `linear-gradient(${tint}, ${tint})`].join(", ");
    mark.style.backgroundSize = [...layers.map((layer) => `100% ${layer.height}px`), "100% 100%"].join(", ");
    mark.style.backgroundPosition = [...layers.map((layer) => `0 calc(100% - ${layer.bottom}px)`), "0 0"].join(", ");
    const lanes = Math.max(...fitting.map((span) => span.lane)) + 1;
    mark.style.paddingBottom = `${lanes * LANE}px`;
    return mark;
  }

  // Thick where the model was sure, thin where less, broken where it doubted, dotted where nobody knows.
  function underline({ label, confidence, lane }) {
    const line = `color-mix(in oklab, ${colourOf(label)} var(--keep), var(--to))`;
    const broken = (on, off) => `repeating-linear-gradient(90deg, ${line} 0 ${on}px, transparent ${on}px ${on + off}px)`;
    let image = `linear-gradient(${line}, ${line})`;
    if (confidence === null) image = broken(2, 3);
    else if (confidence < DOUBTFUL) image = broken(6, 3);
    const height = confidence !== null && confidence >= SURE ? 3 : 1.5;
    return { image, height, bottom: lane * LANE };
  }

  function tagOf(span) {
    const tag = node("i", span.confidence === null || span.confidence < DOUBTFUL ? "tag doubtful" : "tag");
    tag.dataset.title = labels.get(span.label)?.title ?? span.label;
    tag.dataset.confidence = number(span.confidence);
    tag.style.setProperty("--label", colourOf(span.label));
    return tag;
  }

  function rejectedOf(quotes) {
    const box = node("div", "rejected");
    const details = node("details");
    details.open = true;
    details.append(node("summary", "", `${quotes.length} quote${quotes.length === 1 ? "" : "s"} left out`));
    const list = node("ul");
    for (const [label, quote, outcome] of quotes) {
      const item = node("li");
      item.append(node("bdi", "label-name", labels.get(label)?.title ?? label), node("span", "quote", quote), node("span", "", outcomes[outcome] ?? outcome));
      list.append(item);
    }
    details.append(list);
    box.append(details);
    return box;
  }

  // Where the search's text stands, without touching the document.
  function highlight() {
    if (!window.CSS?.highlights) return;
    CSS.highlights.delete("hit");
    if (!pattern) return;
    const ranges = [];
    for (const box of document.querySelectorAll(".text")) {
      const nodes = [];
      const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
      let length = 0;
      while (walker.nextNode()) {
        nodes.push([length, walker.currentNode]);
        length += walker.currentNode.length;
      }
      for (const match of box.textContent.matchAll(pattern)) ranges.push(rangeOf(nodes, match.index, match.index + match[0].length));
    }
    CSS.highlights.set("hit", new Highlight(...ranges));
  }

  function rangeOf(nodes, from, to) {
    const place = (offset, ends) => nodes.findLast(([start]) => (ends ? start < offset : start <= offset));
    const found = document.createRange();
    const [first, last] = [place(from, false), place(to, true)];
    found.setStart(first[1], from - first[0]);
    found.setEnd(last[1], to - last[0]);
    return found;
  }

  // Going from place to place.
  async function toPage(page) {
    const before = currentPage;
    currentPage = page;
    if (before && before !== page) leave(before);
    open(page.fold);
    page.element.classList.add("current");
    page.element.scrollIntoView({ block: "start" });
    await draw(page);
  }

  // The page that was current is kept however far it is: now it is as all others are.
  function leave(page) {
    page.element.classList.remove("current");
    if (page.drawn && !isNear(page.element, PAGE_MARGIN)) empty(page, page.element.offsetHeight);
    if (!isNear(page.fold.element, FOLD_MARGIN)) close(page.fold, page.fold.element.offsetHeight);
  }

  function isNear(element, margin) {
    const box = element.getBoundingClientRect();
    return box.bottom > -margin && box.top < window.innerHeight + margin;
  }

  async function toSpan(place) {
    if (!stops[place]) return;
    at = place;
    const { page, span } = stops[place];
    if (page !== currentPage) await toPage(page);
    for (const mark of document.querySelectorAll(".mark.current")) mark.classList.remove("current");
    const marks = [...page.element.querySelectorAll(".mark")].filter((mark) => mark.dataset.spans.split(" ").includes(String(span)));
    for (const mark of marks) mark.classList.add("current");
    marks[0]?.scrollIntoView({ block: "center" });
    say();
  }

  // The page below the status line, or the last that begins above it.
  function pageInView() {
    const isAbove = ({ element }) => element.getBoundingClientRect().top < 120;
    const fold = folds.findLast(isAbove);
    const page = fold?.isOpen ? fold.pages.findLast(isAbove) : fold?.pages[0];
    return page?.order ?? 0;
  }

  function stopFrom(order) {
    const found = stops.findIndex((stop) => stop.page.order >= order);
    return found < 0 ? stops.length : found;
  }

  function step(direction) {
    const isFresh = !currentPage && window.scrollY < 10;
    const here = currentPage ? currentPage.order : pageInView();
    const page = shown[isFresh ? 0 : Math.min(shown.length - 1, Math.max(0, here + direction))];
    if (!page) return;
    at = null;
    next = stopFrom(page.order);
    for (const mark of document.querySelectorAll(".mark.current")) mark.classList.remove("current");
    toPage(page);
    say();
  }

  function nextSpan(direction) {
    if (at === null && !currentPage) next = stopFrom(pageInView());
    const wanted = at === null ? next + Math.min(0, direction) : at + direction;
    toSpan(Math.min(stops.length - 1, Math.max(0, wanted)));
  }

  const keys = {
    j: () => nextSpan(1),
    k: () => nextSpan(-1),
    n: () => step(1),
    p: () => step(-1),
    s: () => {
      const order = byId("order");
      order.value = order.value === "doubt" ? "document" : "doubt";
      apply();
    },
    l: () => document.body.classList.toggle("untagged"),
    "/": () => {
      byId("text").focus();
      byId("text").select();
    },
    "?": () => byId("help").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  async function print() {
    for (const page of shown.slice(0, PRINTED)) {
      open(page.fold);
      await draw(page);
    }
    window.print();
  }

  function clear() {
    chosen.clear();
    for (const button of document.querySelectorAll("button.label")) button.setAttribute("aria-pressed", "false");
    for (const id of ["document", "text", "state"]) byId(id).value = "";
    byId("low").value = 0;
    byId("high").value = 1;
    if (byId("unknown")) byId("unknown").checked = true;
    apply();
  }

  function listen() {
    let waiting = 0;
    const soon = () => {
      clearTimeout(waiting);
      waiting = setTimeout(apply, 150);
    };
    for (const id of ["low", "high", "document", "text"]) byId(id).addEventListener("input", soon);
    for (const id of ["state", "order", "unknown"]) byId(id)?.addEventListener("change", apply);
    for (const button of document.querySelectorAll("button.label")) {
      button.addEventListener("click", () => {
        const { label } = button.dataset;
        if (!chosen.delete(label)) chosen.add(label);
        button.setAttribute("aria-pressed", String(chosen.has(label)));
        apply();
      });
    }
    for (const bin of document.querySelectorAll(".confidences .bin")) {
      bin.addEventListener("click", () => {
        byId("low").value = Number(bin.dataset.low).toFixed(2);
        byId("high").value = Number(bin.dataset.high).toFixed(2);
        apply();
      });
    }
    byId("all-labels").addEventListener("click", () => {
      chosen.clear();
      for (const button of document.querySelectorAll("button.label")) button.setAttribute("aria-pressed", "false");
      apply();
    });
    byId("clear").addEventListener("click", clear);
    byId("print").addEventListener("click", print);
    byId("ask").addEventListener("click", () => byId("help").showModal());
  }

  async function begin() {
    if (!window.DecompressionStream) {
      byId("status").textContent = "this browser is too old for this page: one of 2023 or later can show it";
      return;
    }
    await load();
    listen();
    await apply();
    document.body.dataset.ready = "true";
  }

  begin();
})();
