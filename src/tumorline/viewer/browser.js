// The table of all cases beside the viewer: sorted, filtered, by patient, with a link to each case.
import { Viewer } from "./viewer.js";

const AT_ONCE = 150, KEPT_PACKS = 4;
const collator = new Intl.Collator("en", { numeric: true });
const packs = new Map();

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** A name that may go on in a new line after a folder. */
const breakable = (name) => (name.match(/[^/]+\/*|\/+/g) || [name]).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));

/** The pictures of a few cases: out of the page, or out of a file of the folder beside it. */
function loadPack(name) {
  if (!packs.has(name)) {
    const inPage = document.getElementById(name);
    packs.set(name, inPage ? Promise.resolve(inPage).then((script) => JSON.parse(script.textContent)) : loadFile(name));
    if (packs.size > KEPT_PACKS) packs.delete(packs.keys().next().value);
  }
  return packs.get(name);
}

const waiting = new Map();
window.tumorlinePack = (name, cases) => waiting.get(name)?.(cases);

function loadFile(name) { // a script and no request, so that it works from the disk as well
  return new Promise((resolve, reject) => {
    const missing = new Error(`${name} is not there: the pictures lie in a folder beside this page, move both together`);
    const script = element("script", { src: name.split("/").map(encodeURIComponent).join("/"), onerror: () => (packs.delete(name), reject(missing)) });
    waiting.set(name, (cases) => (script.remove(), waiting.delete(name), resolve(cases)));
    document.head.append(script);
  });
}

const shown = (value, digits) => (value == null ? "–" : value.toFixed(digits));

/** What stands in `index`: see report/browsing.py. */
export class CaseBrowser {
  constructor(root, index) {
    Object.assign(this, { index, view: 0, sorting: { column: index.sort, up: !index.descending }, limits: new Map(), texts: new Map(), result: "", byPatient: false, open: null, drawn: 0 });
    this.cases = index.cases.map((values, number) => ({ number, values }));
    this.picture = element("div", { class: "browser-picture" });
    this.viewer = new Viewer(this.picture, { onStep: (by) => this.step(by), keys: document });
    this.viewer.clear("choose a case");
    this.tools = element("div", { class: "browser-tools" });
    this.head = element("thead");
    this.body = element("tbody");
    this.count = element("span", { class: "browser-count", "aria-live": "polite" });
    this.box = element("div", { class: "browser-rows", tabindex: 0, "aria-label": "table of cases" }, element("table", {}, this.head, this.body));
    this.box.addEventListener("scroll", () => this.box.scrollTop + this.box.clientHeight > this.box.scrollHeight - 400 && this.more());
    root.classList.toggle("browser-wide", Boolean(index.volumes));
    root.replaceChildren(element("div", { class: "browser-table" }, this.tools, this.box), this.picture);
    this.buildTools();
    this.refresh();
    addEventListener("hashchange", () => this.openLinked());
    if (!this.openLinked() && this.order.length) this.show(this.order[0], false);
  }

  get columns() {
    const texts = this.index.texts.map((name, place) => ({ name, text: true, value: (one) => one.values[place] }));
    const numbers = this.index.views[this.view].columns.map((column, place) => ({ ...column, value: (one) => this.numbersOf(one)[place] }));
    return [texts[0], ...numbers, { name: "result", text: true, value: (one) => this.flagOf(one) }, ...texts.slice(1)];
  }

  numbersOf(one) { return this.index.views[this.view].values[one.number]; }
  flagOf(one) { return this.index.views[this.view].flags[one.number]; }
  column(name) { return this.columns.find((column) => column.name === name) || this.columns[0]; }
  textAt(name) { return this.index.texts.indexOf(name); }

  // ------------------------------------------------------------ tools

  buildTools() {
    const { views } = this.index, text = element("input", { type: "search", placeholder: "find", "aria-label": "find in the names", "data-filter": "text",
      oninput: () => (this.texts.delete("patient"), this.texts.set("", text.value), this.refresh()) });
    const select = (filter, title, options, run) => {
      const list = element("select", { "data-filter": filter, "aria-label": title, title, onchange: () => (run(list.value), this.refresh()) },
        ...options.map(([value, name]) => element("option", { value, text: name })));
      return list;
    };
    const distinct = (name) => [...new Set(this.index.cases.map((values) => values[this.textAt(name)]))].sort(collator.compare);
    const chosen = ["class", "status", "truth", "set", "model"].filter((name) => this.textAt(name) >= 0 && distinct(name).length > 1)
      .map((name) => select(name, name, [["\n", `every ${name}`], ...distinct(name).map((value) => [value, value || "not stated"])],
        (value) => (value === "\n" ? this.texts.delete(name) : this.texts.set(name, value))));
    const flags = [...new Set(views.flatMap((view) => view.flags))].filter(Boolean).sort();
    const result = select("result", "result", [["", "every result"], ...flags.map((flag) => [flag, flag])], (value) => { this.result = value; });
    const view = views.length > 1 && select("region", "region", views.map((one, number) => [number, one.name]), (value) => {
      this.view = Number(value);
      this.limits.clear();
    });
    const patients = this.textAt("patient") >= 0 && element("button", { type: "button", "data-action": "by-patient", "aria-pressed": "false", text: "by patient",
      onclick: () => { this.byPatient = !this.byPatient; patients.setAttribute("aria-pressed", String(this.byPatient)); this.refresh(); } });
    this.patientButton = patients || null;
    const clear = element("button", { type: "button", "data-action": "clear", text: "clear", title: "no filter", onclick: () => this.clearFilters() });
    this.tools.replaceChildren(...[view, text, ...chosen, result, patients, clear].filter(Boolean), this.count);
  }

  clearFilters() {
    this.texts.clear();
    this.limits.clear();
    this.result = "";
    for (const input of this.tools.querySelectorAll("select:not([data-filter=region])")) input.selectedIndex = 0;
    this.tools.querySelector("[data-filter=text]").value = "";
    this.refresh();
  }

  passes(one) {
    const wanted = (this.texts.get("") || "").toLowerCase();
    if (wanted && !one.values.some((value) => value.toLowerCase().includes(wanted))) return false;
    for (const [name, value] of this.texts) if (name && one.values[this.textAt(name)] !== value) return false;
    if (this.result && this.flagOf(one) !== this.result) return false;
    for (const [name, [low, high]] of this.limits) {
      const value = this.column(name).value(one);
      if (value == null || value < low || value > high) return false;
    }
    return true;
  }

  // ------------------------------------------------------------ the table

  refresh() {
    const found = this.cases.filter((one) => this.passes(one)), { name, value, text } = this.column(this.sorting.column);
    const by = (a, b) => (text ? collator.compare(a, b) : a - b) * (this.sorting.up ? 1 : -1);
    const ordered = (list, valueOf) => list.map((one) => [one, valueOf(one)]).sort(([x, a], [y, b]) =>
      (a == null) - (b == null) || (a == null ? 0 : by(a, b)) || x.number - y.number).map(([one]) => one);
    this.order = ordered(found, value);
    this.patients = this.byPatient ? this.sortPatients(this.byPatientOf(found), name) : [];
    const size = this.byPatient ? `${this.patients.length} patients, ${found.length} cases` : `${found.length} of ${this.cases.length} cases`;
    this.count.textContent = size;
    this.writeHead();
    this.body.replaceChildren();
    this.drawn = 0;
    this.more();
    this.box.scrollTop = 0;
  }

  byPatientOf(found) {
    const place = this.textAt("patient"), groups = new Map();
    for (const one of found) {
      const name = one.values[place] || one.values[0];
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(one);
    }
    return [...groups].map(([name, members], number) => ({ number, name, members, means: this.index.views[this.view].columns.map((_, column) => {
      const known = members.map((one) => this.numbersOf(one)[column]).filter((value) => value != null);
      return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
    }), flags: members.map((one) => this.flagOf(one)).filter((flag) => flag && flag !== "found") }));
  }

  sortPatients(patients, name) {
    const place = this.index.views[this.view].columns.findIndex((column) => column.name === name), sign = this.sorting.up ? 1 : -1;
    const value = (one) => (place >= 0 ? one.means[place] : one.name);
    return patients.sort((x, y) => (value(x) == null) - (value(y) == null)
      || sign * (place >= 0 ? value(x) - value(y) : collator.compare(x.name, y.name)) || x.number - y.number);
  }

  writeHead() {
    const columns = this.byPatient ? [{ name: "patient", text: true }, { name: "cases" }, ...this.columns.filter((column) => !column.text), { name: "result", text: true }] : this.columns;
    const header = columns.map((column) => {
      const on = this.sorting.column === column.name, arrow = on ? (this.sorting.up ? " ▲" : " ▼") : "";
      return element("th", { "aria-sort": on ? (this.sorting.up ? "ascending" : "descending") : "none", class: column.text ? "" : "right" },
        element("button", { type: "button", "data-sort": column.name, text: column.name + arrow, onclick: () => this.sortBy(column) }));
    });
    const rows = [element("tr", {}, ...header)];
    if (!this.byPatient) rows.push(element("tr", { class: "browser-limits" }, ...columns.map((column) => element("th", {}, column.text ? null : this.limit(column)))));
    this.head.replaceChildren(...rows);
  }

  /** Two small fields: from, to. */
  limit({ name }) {
    const [low, high] = this.limits.get(name) || [-Infinity, Infinity];
    const field = (which, value) => element("input", { type: "number", step: "any", placeholder: which, "aria-label": `${name}, ${which}`, "data-limit": `${name} ${which}`,
      value: Number.isFinite(value) ? value : "", onchange: () => {
        const [from, to] = [...fields.querySelectorAll("input")].map((input) => input.value);
        if (from === "" && to === "") this.limits.delete(name);
        else this.limits.set(name, [from === "" ? -Infinity : Number(from), to === "" ? Infinity : Number(to)]);
        this.refresh();
      } });
    const fields = element("span", {}, field("from", low), field("to", high));
    return fields;
  }

  sortBy({ name, text }) {
    const { column, up } = this.sorting;
    this.sorting = { column: name, up: column === name ? !up : true };
    this.refresh();
    const again = [...this.head.querySelectorAll("button")].find((button) => button.dataset.sort === name);
    if (again) again.focus();
  }

  more() {
    const all = this.byPatient ? this.patients : this.order, next = all.slice(this.drawn, this.drawn + AT_ONCE);
    this.body.append(...next.map((one) => (this.byPatient ? this.patientRow(one) : this.caseRow(one))));
    this.drawn += next.length;
  }

  caseRow(one) {
    const cells = this.columns.map((column, place) => {
      const value = column.value(one), cell = element("td", { class: column.name === "result" ? "browser-flag" : column.text ? "" : "right" });
      if (place === 0) cell.append(element("a", { href: `#case=${encodeURIComponent(this.keyOf(one))}` }, ...breakable(value)));
      else cell.textContent = column.text ? value || "–" : shown(value, column.digits);
      return cell;
    });
    return element("tr", { "data-number": one.number, "data-flag": this.flagOf(one), class: one === this.open ? "browser-open" : "",
      onclick: (event) => { event.preventDefault(); this.show(one, true); } }, ...cells);
  }

  patientRow({ name, members, means, flags }) {
    const numbers = this.index.views[this.view].columns.map((column, place) => element("td", { class: "right", text: shown(means[place], column.digits) }));
    const counted = Object.entries(flags.reduce((counts, flag) => ({ ...counts, [flag]: (counts[flag] || 0) + 1 }), {})).map(([flag, count]) => `${count} ${flag}`);
    const open = () => {
      this.byPatient = false;
      this.patientButton.setAttribute("aria-pressed", "false");
      this.texts.set("patient", members[0].values[this.textAt("patient")]);
      this.tools.querySelector("[data-filter=text]").value = name;
      this.texts.set("", name);
      this.refresh();
      if (this.order.length) this.show(this.order[0], true);
    };
    return element("tr", { onclick: open }, element("td", {}, element("button", { type: "button", class: "browser-link", text: name })),
      element("td", { class: "right", text: members.length }), ...numbers, element("td", { text: counted.join(", ") || "–" }));
  }

  // ------------------------------------------------------------ one case

  keyOf(one) { return this.index.keys ? this.index.keys[one.number] : one.values[0]; }

  openLinked() {
    const match = /^#case=(.*)$/.exec(location.hash);
    if (!match) return false;
    let name = match[1];
    try { name = decodeURIComponent(name); } catch { /* as it is */ }
    const one = this.cases.find((candidate) => this.keyOf(candidate) === name);
    if (!one) this.viewer.clear(`no case is called ${name}`);
    else if (one !== this.open) this.show(one, false);
    this.picture.scrollIntoView({ block: "nearest" });
    return true;
  }

  step(by) {
    const place = this.order.indexOf(this.open), next = this.order[place < 0 ? 0 : place + by];
    if (next) this.show(next, true);
  }

  async show(one, link) {
    this.open = one;
    if (link) history.replaceState(null, "", `#case=${encodeURIComponent(this.keyOf(one))}`);
    this.mark();
    const place = this.index.places[one.number];
    if (!place) return this.viewer.clear(`${this.keyOf(one)}: no picture; the source or the predicted mask is not where it was`);
    try {
      const cases = await loadPack(this.index.packs[place[0]]);
      if (this.open === one) await this.viewer.show(cases[place[1]], one);
    } catch (error) {
      if (this.open === one) this.viewer.clear(String(error.message || error));
    }
  }

  mark() {
    while (this.drawn < this.order.length && !this.byPatient && this.order.indexOf(this.open) >= this.drawn) this.more();
    for (const row of this.body.querySelectorAll(".browser-open")) row.classList.remove("browser-open");
    const row = this.body.querySelector(`[data-number="${this.open.number}"]`);
    if (!row) return;
    row.classList.add("browser-open");
    const top = row.offsetTop - this.head.offsetHeight, bottom = row.offsetTop + row.offsetHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (bottom > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom - this.box.clientHeight;
  }
}

const data = document.getElementById("cases-index");
if (data) {
  const browser = new CaseBrowser(document.getElementById("cases-browser"), JSON.parse(data.textContent));
  Object.assign(window, { tumorlineCases: browser });
  for (const link of document.querySelectorAll("a[href^='#case=']")) { // pictures of the page that lead to a case
    link.addEventListener("click", () => browser.picture.scrollIntoView({ block: "center" }));
  }
}
