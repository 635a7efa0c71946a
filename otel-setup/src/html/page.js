"use strict";
// Everything shown came from strangers: it becomes text nodes only, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  // What is far outside of the view has no elements: ten thousand rows scroll like ten.
  function virtual(box, height, draw) {
    let count = 0;
    const spacer = make("div", "spacer");
    const paint = () => {
      const first = Math.max(0, Math.floor(box.scrollTop / height) - 5);
      const last = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / height) + 5);
      const rows = [];
      for (let at = first; at < last; at += 1) {
        const row = draw(at);
        row.style.top = `${at * height}px`;
        rows.push(row);
      }
      box.replaceChildren(spacer, ...rows);
    };
    box.addEventListener("scroll", paint);
    addEventListener("resize", paint);
    return {
      resize(rows) {
        count = rows;
        spacer.style.height = `${rows * height}px`;
        paint();
      },
      show(at) {
        const top = at * height;
        if (top < box.scrollTop) box.scrollTop = top;
        const bottom = top + height - box.clientHeight;
        if (bottom > box.scrollTop) box.scrollTop = bottom;
        paint();
      },
      page: () => Math.max(1, Math.floor(box.clientHeight / height) - 1),
    };
  }

  const services = new Map();
  let spanCount = 0;
  for (const trace of data.traces) {
    trace.errors = 0;
    trace.spans = 0;
    const parents = [];
    trace.rows.forEach((row, at) => {
      row.at = at;
      parents.length = row.depth;
      row.parent = parents[row.depth - 1];
      parents[row.depth] = row;
      row.open = !row.fold;
      row.siblings = row.parent ?? trace;
      row.siblings.count = (row.siblings.count ?? 0) + 1;
      row.position = row.siblings.count;
      if (row.id) {
        trace.spans += 1;
        if (row.failed) trace.errors += 1;
      }
      if (row.kind && !services.has(row.service)) services.set(row.service, services.size % 5);
    });
    spanCount += trace.spans;
    trace.title = (trace.rows.find((row) => row.id) ?? { name: "(empty)" }).name;
  }

  let words = [];
  let traces = data.traces; // that match
  let current = null; // trace
  let rows = []; // of the current trace, that are visible
  let active = null; // row

  const hay = (trace, row) => {
    row.hay ??= [row.name, row.service, row.kind, row.error, row.message, row.id, trace.id]
      .concat(row.attributes?.map(([key, value]) => `${key}=${value}`))
      .concat(row.events?.map(([name]) => name))
      .join("\n").toLowerCase();
    return row.hay;
  };
  const matches = (trace, row) => row.id && words.every((word) => hay(trace, row).includes(word));

  const list = virtual($("traces"), 58, (at) => {
    const trace = traces[at];
    const option = make("div", "option");
    option.id = `trace-${at}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", trace === current);
    option.setAttribute("aria-posinset", at + 1);
    option.setAttribute("aria-setsize", traces.length);
    const title = make("div", "title");
    title.append(make("span", "text", trace.title), make("span", "time", trace.duration));
    const sub = make("div", "sub");
    sub.append(make("span", "", trace.clock), make("span", "", plural(trace.spans, "span")));
    if (trace.errors) sub.append(make("span", "bad", plural(trace.errors, "error")));
    option.append(title, sub);
    option.addEventListener("click", () => choose(trace));
    return option;
  });

  const percent = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(4)}%`;
  const tree = virtual($("tree"), 28, (at) => {
    const row = rows[at];
    const item = make("div", `row s${services.get(row.service) ?? 0}`);
    item.id = `row-${row.at}`;
    item.classList.toggle("failed", row.failed === true);
    item.classList.toggle("faint", words.length > 0 && !row.match);
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", row.depth + 1);
    item.setAttribute("aria-posinset", row.position);
    item.setAttribute("aria-setsize", row.siblings.count);
    item.setAttribute("aria-selected", row === active);
    if (row.count) item.setAttribute("aria-expanded", isOpen(row));
    const names = make("div", "names");
    names.style.paddingLeft = `${8 + 14 * Math.min(row.depth, 18)}px`;
    const fold = make("span", "fold", row.count ? (isOpen(row) ? "▼" : "▶") : "");
    fold.setAttribute("aria-hidden", true);
    fold.addEventListener("click", (event) => {
      event.stopPropagation();
      active = row;
      toggle(row, !isOpen(row));
    });
    names.append(fold);
    if (row.kind) names.append(make("span", "dot"));
    const shown = row.depth > 18 ? `⋯${row.depth} ${row.name}` : row.name;
    names.append(make("span", row.failed ? "text bad" : "text", row.failed ? `✗ ${shown}` : shown));
    if (row.fold) names.append(make("span", "times", `×${row.times}`));
    if (row.kind) names.append(make("span", "kind", row.kind));
    const bars = make("div", "bars");
    for (const [start, length] of row.bars ?? []) bars.append(bar("bar", start, length));
    for (const [start, length] of row.critical ?? []) bars.append(bar("hot", start, length));
    const took = make("span", row.failed ? "took time bad" : "took time", row.duration ?? "");
    item.append(names, took, bars);
    item.addEventListener("click", () => { move(row); details(row); });
    return item;
  });

  function bar(name, start, length) {
    const element = make("div", name);
    element.style.left = percent(start / current.length);
    element.style.width = percent(length / current.length);
    return element;
  }

  // While a search is on, what was found is never hidden.
  const isOpen = (row) => (words.length ? !row.shut : row.open);

  function refresh() {
    rows = [];
    let hidden = Infinity;
    for (const row of current?.rows ?? []) {
      if (row.depth > hidden) continue;
      hidden = Infinity;
      if (words.length && !row.inside) continue;
      rows.push(row);
      if (row.count && !isOpen(row)) hidden = row.depth;
    }
    if (!rows.includes(active)) active = rows.find((row) => row.match) ?? rows[0] ?? null;
    if (active) $("tree").setAttribute("aria-activedescendant", `row-${active.at}`);
    else $("tree").removeAttribute("aria-activedescendant");
    tree.resize(rows.length);
    if (active) tree.show(rows.indexOf(active));
  }

  function choose(trace) {
    current = trace;
    active = null;
    mark();
    refresh();
    const at = traces.indexOf(trace);
    list.resize(traces.length);
    if (at >= 0) {
      list.show(at);
      $("traces").setAttribute("aria-activedescendant", `trace-${at}`);
    } else {
      $("traces").removeAttribute("aria-activedescendant");
    }
    const about = $("about");
    about.replaceChildren();
    if (!trace) {
      $("axis").replaceChildren();
      about.append(make("span", "soft", data.traces.length ? "Nothing found." : "No spans yet."));
      details(null);
      return;
    }
    about.append(
      make("strong", "", trace.title), make("span", "time", trace.duration),
      make("span", "soft", plural(trace.spans, "span")),
    );
    if (trace.errors) about.append(make("span", "bad", plural(trace.errors, "error")));
    if (trace.dropped) about.append(make("span", "bad", `${trace.dropped} spans left out`));
    for (const name of new Set(trace.rows.map((row) => row.service))) {
      if (!name) continue;
      const chip = make("span", `chip s${services.get(name) ?? 0}`);
      chip.append(make("i", "dot"), make("span", "", name));
      about.append(chip);
    }
    about.append(make("span", "soft", trace.clock), make("span", "soft id", trace.id));
    scale();
    if (!$("details").hidden) details(active);
  }

  function scale() {
    const bars = make("div", "bars");
    const axis = make("div", "row");
    axis.append(make("div", "names"), make("span", "took"), bars);
    // As wide as the rows are beside their scroll bar.
    $("axis").style.paddingRight = `${$("tree").offsetWidth - $("tree").clientWidth}px`;
    $("axis").replaceChildren(axis);
    const ends = [current.ticks[0], current.ticks[current.ticks.length - 1]];
    const ticks = bars.clientWidth > 360 ? current.ticks : ends;
    ticks.forEach((text, at) => {
      const tick = make("span", "tick", text);
      tick.style.left = percent(at / (ticks.length - 1));
      bars.append(tick);
    });
  }

  function mark() {
    for (const row of current?.rows ?? []) {
      row.shut = false;
      row.match = words.length > 0 && matches(current, row);
      row.inside = false;
    }
    for (const row of current?.rows ?? []) {
      for (let up = row.match ? row : null; up && !up.inside; up = up.parent) up.inside = true;
    }
  }

  function search(text) {
    words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = (trace) => trace.rows.some((row) => matches(trace, row));
    traces = words.length ? data.traces.filter(found) : data.traces;
    summarize();
    choose(traces.includes(current) ? current : traces[0] ?? null);
  }

  function summarize() {
    const left = data.dropped ? `, ${data.dropped} left out` : "";
    $("summary").textContent = words.length
      ? `${traces.length} of ${plural(data.traces.length, "trace")}`
      : `${plural(data.traces.length, "trace")}, ${plural(spanCount, "span")}${left}`;
  }

  function move(row) {
    if (!row) return;
    active = row;
    $("tree").setAttribute("aria-activedescendant", `row-${row.at}`);
    tree.show(rows.indexOf(row));
    if (!$("details").hidden) details(row);
  }

  function toggle(row, open) {
    if (words.length) row.shut = !open;
    else row.open = open;
    refresh();
    scale();
  }

  function details(row) {
    const panel = $("details");
    const wasHidden = panel.hidden;
    panel.hidden = !row;
    document.querySelector("main").classList.toggle("open", Boolean(row));
    if (current && wasHidden !== panel.hidden) scale();
    if (!row) return;
    const close = make("button", "close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", shut);
    const facts = [row.kind, row.service, row.duration && `${row.duration} from ${row.from}`];
    if (row.trace) facts.push(`from trace ${row.trace}`);
    panel.replaceChildren(close, make("h2", "", row.fold ? `${row.name} ×${row.times}` : row.name));
    panel.append(make("div", "soft", facts.filter(Boolean).join(" · ")));
    if (row.failed) {
      const text = [row.error, row.message].filter(Boolean).join(": ") || "failed";
      panel.append(make("p", "error", text));
    }
    if (row.note) panel.append(make("p", "error", row.note));
    section(panel, row.fold ? "Spans that look the same" : "Attributes", row.attributes);
    if (row.links?.length) panel.append(make("h3", "", "Links"));
    for (const [trace, span, known, attributes] of row.links ?? []) {
      const target = data.traces.find((one) => one.id === trace);
      const name = known ?? target?.title ?? "";
      const button = make("button", "link mono", `→ ${name} trace ${trace} span ${span}`);
      button.type = "button";
      button.disabled = !target;
      button.addEventListener("click", () => {
        $("search").value = "";
        search("");
        choose(target);
        const other = target.rows.find((one) => one.id === span);
        for (let up = other?.parent; up; up = up.parent) up.open = true;
        refresh();
        move(other ?? rows[0]);
      });
      panel.append(button);
      section(panel, "", attributes);
    }
    for (const [name, after, attributes] of row.events ?? []) {
      section(panel, `Event ${name}, after ${after}`, attributes, true);
    }
    if (row.id) {
      section(panel, "Span", [["id", row.id], ["parent", row.parentId], ["scope", row.scope]]);
    }
    if (wasHidden) tree.show(rows.indexOf(active));
  }

  function section(panel, title, pairs, always) {
    const filled = (pairs ?? []).filter(([, value]) => value !== null && value !== undefined);
    if (title && (filled.length || always)) panel.append(make("h3", "", title));
    const list = make("dl");
    for (const [key, value] of filled) {
      const pair = make("div");
      pair.append(make("dt", "", key), make("dd", "", value));
      list.append(pair);
    }
    panel.append(list);
  }

  function shut() {
    details(null);
    $("tree").focus();
    tree.resize(rows.length);
  }

  function neighbour(step) {
    const at = traces.indexOf(current) + step;
    if (traces[at]) choose(traces[at]);
  }

  $("traces").addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: list.page(), PageUp: -list.page() };
    const ends = { Home: 0, End: traces.length - 1 };
    const at = ends[event.key] ?? traces.indexOf(current) + (steps[event.key] ?? NaN);
    if (event.key === "Enter" || event.key === "ArrowRight") $("tree").focus();
    else if (Number.isNaN(at)) return;
    else if (traces.length) choose(traces[Math.max(0, Math.min(traces.length - 1, at))]);
    event.preventDefault();
  });

  $("tree").addEventListener("keydown", (event) => {
    const at = rows.indexOf(active);
    const to = (place) => move(rows[Math.max(0, Math.min(rows.length - 1, place))]);
    const actions = {
      ArrowDown: () => to(at + 1),
      ArrowUp: () => to(at - 1),
      PageDown: () => to(at + tree.page()),
      PageUp: () => to(at - tree.page()),
      Home: () => to(0),
      End: () => to(rows.length - 1),
      ArrowRight: () => (active.count && !isOpen(active) ? toggle(active, true) : active.count && to(at + 1)),
      ArrowLeft: () => (active.count && isOpen(active) ? toggle(active, false) : move(active.parent)),
      Enter: () => { details(active); $("details").focus(); },
      " ": () => details(active),
    };
    if (!actions[event.key] || !active || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  });

  $("search").addEventListener("input", () => search($("search").value));
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      $("tree").focus();
    }
  });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let theme = null; // of the system, until somebody chooses
  const isDark = () => (theme ? theme === "dark" : dark.matches);
  function paintTheme() {
    document.documentElement.style.colorScheme = theme ?? "";
    $("theme").textContent = isDark() ? "Light" : "Dark";
  }
  function switchTheme() {
    theme = isDark() ? "light" : "dark";
    paintTheme();
  }
  $("theme").addEventListener("click", switchTheme);
  dark.addEventListener("change", paintTheme);

  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (!$("details").hidden && document.activeElement !== $("search")) shut();
      else if ($("search").value) {
        $("search").value = "";
        search("");
        $("tree").focus();
      } else $("tree").focus();
      event.preventDefault();
      return;
    }
    if (document.activeElement === $("search") || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      "/": () => { $("search").focus(); $("search").select(); },
      "[": () => neighbour(-1),
      "]": () => neighbour(1),
      t: switchTheme,
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  addEventListener("resize", () => current && scale());

  paintTheme();
  search("");
  $("tree").focus({ focusVisible: false });
})();
