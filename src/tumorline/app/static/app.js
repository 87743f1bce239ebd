// The page of `tumorline app`: sends what is dropped, shows what comes back. Texts only ever become text nodes.
import { Viewer } from "./viewer.js";
import { renderMarkdown } from "./markdown.js";

const at = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const words = (name) => name.replaceAll("_", " ");
const number = (value, digits = 0) => value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const numbered = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const KINDS = { mask: "Mask", segmentation: "Mask", overlay: "Picture with outline" };
const ENDINGS = { "image/png": "PNG", "application/gzip": "NIfTI", "application/dicom": "DICOM-SEG" };
const MOST_SHOWN = 6, POLL_MS = 300;

const state = { models: [], answer: null, shown: 0, sent: [], all: [], request: null };
const viewer = new Viewer(at("viewer"), { editable: true, save: "Save the corrected mask", onStep: (direction) => step(direction) });
window.tumorline = { viewer, state }; // for tests and for the curious

// ---------------------------------------------------------------- models

const model = () => state.models.find((one) => one.name === at("model").value);

async function loadModels() {
  state.models = await ask("/models");
  const chosen = at("model").value;
  at("model").replaceChildren(...state.models.map((one) => make("option", { value: one.name }, one.name)));
  if (state.models.some((one) => one.name === chosen)) at("model").value = chosen;
  showModel();
}

function showModel() {
  const one = model();
  if (!one) return;
  const takes = one.channels.filter(Boolean).map(words).join(", ");
  at("model-figure").textContent = [one.figure, takes && `takes ${takes}`].filter(Boolean).join(" · ");
}

function openCard(name) {
  const one = state.models.find((other) => other.name === name) || model();
  if (!one) return;
  const facts = [
    ["Outlines", one.regions.map(words).join(", ")],
    ["Takes", `${one.takes}; ${one.channels.filter(Boolean).map(words).join(", ") || "one sequence, not stated which"}`],
    ["Sees", one.input],
    ["Trained on", one.trained_on],
    ["Measured", one.figure || "see the card"],
    ["Licence", one.licence],
    ["Meant for", one.intended_use],
  ];
  const table = make("table", { className: "facts" });
  table.append(...facts.map(([key, text]) => make("tr", {}, make("th", {}, key), make("td", {}, text))));
  const limits = make("div", { className: "limits" }, make("h2", {}, "Where it fails"));
  const known = one.limits.length ? one.limits : ["Its limits were not measured: no evaluation is beside this model."];
  limits.append(make("ul", {}, ...known.map((limit) => make("li", {}, limit))));
  at("card-title").textContent = one.name;
  at("card").replaceChildren(limits, table, ...renderMarkdown(one.card));
  at("card-box").showModal();
}

// ---------------------------------------------------------------- what is dropped

const named = (file, path) => ({ file, name: path || file.webkitRelativePath || file.name });

async function filesOfEntry(entry) {
  if (entry.isFile) return [named(await new Promise((resolve, reject) => entry.file(resolve, reject)), entry.fullPath.replace(/^\//, ""))];
  const reader = entry.createReader(), entries = [];
  for (;;) { // a folder is handed out in portions
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  return (await Promise.all(entries.map(filesOfEntry))).flat();
}

async function filesOfDrop(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() })); // before any await
  return (await Promise.all(found.map(({ entry, file }) => (entry ? filesOfEntry(entry) : [named(file)])))).flat();
}

const inOrder = (files) => files.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));

// ---------------------------------------------------------------- asking

async function ask(address) {
  const answer = await fetch(address);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

function send(files, channels = [], all = files) {
  if (!files.length) return showTrouble("There is no file in what was dropped.");
  state.request?.abort();
  state.sent = inOrder(files);
  state.all = all;
  const form = new FormData();
  for (const { file, name } of state.sent) form.append("file", file, name);
  for (const channel of channels) form.append("channel", channel);
  const ticket = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const query = new URLSearchParams({ model: at("model").value, tta: at("tta").value, view: "true", ticket });
  const request = new XMLHttpRequest();
  const end = () => {
    if (state.request !== request) return;
    state.request = null;
    at("busy").hidden = true;
  };
  request.open("POST", `/predict?${query}`);
  request.responseType = "json";
  request.upload.onprogress = (event) => showBusy(`Sending ${numbered(files.length, "file")}`, event.loaded / event.total);
  request.upload.onload = () => follow(request, ticket);
  request.onload = () => { end(); receive(request.status, request.response, channels); };
  request.onerror = () => { end(); showTrouble("The app did not answer. Is it still running?"); };
  request.onabort = end;
  state.request = request;
  at("trouble").hidden = true;
  showBusy(`Sending ${numbered(files.length, "file")}`, 0);
  request.send(form);
}

async function follow(request, ticket) {
  showBusy("Received");
  while (state.request === request) {
    const told = await ask(`/progress/${ticket}`).catch(() => null);
    if (state.request !== request) return;
    if (told) showPlace(told);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function showPlace(told) {
  if (told.state === "waiting" && told.ahead) return showBusy(`Waiting: ${numbered(told.ahead, "request")} before this one`);
  if (told.state === "answering") return showBusy("Receiving the answer");
  const cases = told.of > 1 ? `case ${Math.min(told.done + 1, told.of)} of ${told.of}` : "";
  const windows = told.windows_of > 1 ? `${number(told.windows)} of ${number(told.windows_of)} windows` : "";
  const within = told.windows_of ? told.windows / told.windows_of : 0;
  const share = told.of > 1 ? (told.done + within) / told.of : told.windows_of > 1 ? within : undefined;
  showBusy(["Predicting", cases, windows].filter(Boolean).join(" · "), share);
}

function showBusy(text, share) {
  at("busy").hidden = false;
  at("busy-text").textContent = text;
  if (share === undefined) at("busy-bar").removeAttribute("value");
  else at("busy-bar").value = share;
}

function receive(status, told, channels) {
  if (status !== 200) return showTrouble(told?.error || `The app answered with status ${status}.`, channels);
  at("trouble").hidden = true;
  state.answer = told;
  const first = told.cases.findIndex((one) => !one.error);
  showResults(Math.max(first, 0));
}

// ---------------------------------------------------------------- what went wrong

function showTrouble(text, channels = []) {
  at("trouble").hidden = false;
  at("trouble-text").textContent = text;
  const named = model()?.channels.every(Boolean) && state.all.length > 0;
  const mayHelp = named && /channel|sequence|takes|say so|say of each/.test(text);
  at("assign").hidden = !mayHelp;
  if (mayHelp) offerChannels(channels);
  at("trouble").scrollIntoView({ block: "nearest" });
}

const folderOf = (name) => name.slice(0, name.lastIndexOf("/") + 1);
const isVolume = (name) => /\.nii(\.gz)?$/i.test(name);

/** Volumes are files of their own, DICOM slices belong to their folders. */
function groupsOfFiles() {
  const groups = new Map();
  for (const { name } of state.all) {
    const key = isVolume(name) ? name : folderOf(name) || name;
    groups.set(key, (groups.get(key) || 0) + 1);
  }
  return groups;
}

function offerChannels() {
  const { channels } = model();
  if (channels.length === 1) {
    at("assign-text").textContent = `If you know that it is ${words(channels[0])}, say so and have it predicted all the same.`;
    at("assign-rows").replaceChildren();
    at("assign").querySelector("button").textContent = `It is ${words(channels[0])}: predict`;
    return;
  }
  at("assign-text").textContent = "Say which sequence each file, or folder of slices, is. What is no sequence of the model is left out.";
  at("assign").querySelector("button").textContent = "Predict";
  const rows = [...groupsOfFiles()].map(([key, count], index) => {
    const select = make("select", { id: `assign-${index}` });
    select.dataset.group = key;
    select.append(make("option", { value: "" }, "left out"), ...channels.map((one) => make("option", { value: one }, words(one))));
    select.value = guess(key, channels);
    const label = make("span", {}, key + (count > 1 ? ` (${numbered(count, "file")})` : ""));
    return make("label", { className: "assign-row" }, label, select);
  });
  at("assign-rows").replaceChildren(...rows);
}

const WORDS = { flair: /flair|t2f/, t2: /t2w?(?!.*flair)/, post_contrast: /t1ce|t1c|t1gd|post|gad|contrast/, pre_contrast: /t1n?(?![a-z])|pre/ };
const guess = (name, channels) => channels.find((one) => WORDS[one]?.test(name.toLowerCase()) || name.toLowerCase().includes(one)) || "";

function sendAssigned() {
  const { channels } = model();
  if (channels.length === 1) return send(state.all, channels);
  const chosen = new Map([...at("assign-rows").querySelectorAll("select")].map((one) => [one.dataset.group, one.value]));
  const channelOf = ({ name }) => chosen.get(isVolume(name) ? name : folderOf(name) || name) || "";
  const kept = inOrder(state.all.filter(channelOf));
  send(kept, kept.map(channelOf), state.all);
}

// ---------------------------------------------------------------- what was found

function showResults(index) {
  const { cases } = state.answer;
  document.body.classList.add("has-results");
  at("results").hidden = false;
  at("cases-box").hidden = cases.length < 2;
  document.body.classList.toggle("alone", cases.length < 2);
  const mark = (one) => (one.error ? "✕ " : one.tumour_found ? "● " : "○ ");
  at("cases").replaceChildren(...cases.map((one, place) => make("option", { value: place }, `${mark(one)}${one.name}`)));
  showCase(index);
  at("results").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function step(direction) {
  if (state.answer && state.answer.cases.length > 1) showCase((state.shown + direction + state.answer.cases.length) % state.answer.cases.length);
}

async function showCase(index) {
  const one = state.answer.cases[index];
  state.shown = index;
  at("cases").value = index;
  showVerdict(one);
  showFigures(one);
  showRegions(one);
  showNotes(one);
  at("downloads").replaceChildren(...one.files.map(downloadButton), ...(one.files.length ? allButton() : []));
  const by = make("a", { href: "#" }, "what it can and cannot do");
  by.onclick = (event) => { event.preventDefault(); openCard(state.answer.model); };
  at("by").replaceChildren(`By the model ${state.answer.model} in ${number(state.answer.seconds, 1)} s: `, by, ".");
  if (!one.view) return viewer.clear(one.error ? "Nothing to show of this case." : "Too many cases to show them all; its files are beside.");
  await viewer.show(one.view).catch((error) => viewer.clear(error.message));
}

function showVerdict(one) {
  const [kind, text] = one.error ? ["failed", "Not predicted"] : one.tumour_found ? ["found", "Tumour found"] : ["none", "No tumour found"];
  at("verdict").className = `verdict ${kind}`;
  at("verdict").textContent = text;
  at("verdict-more").textContent = one.error || (one.inputs.length === 1 ? one.inputs[0] : `${one.name}, ${numbered(one.inputs.length, "file")}`);
  const doubt = one.error ? "" : one.tumour_found ? doubtOfFound() : doubtOfNone();
  at("doubt").hidden = !doubt;
  at("doubt").textContent = doubt;
}

/** What of an answer has to be known before it is believed: from the limits of the model, the worst that was measured. */
function limitsOf(pattern) {
  const limits = state.models.find((other) => other.name === state.answer.model)?.limits || [];
  const counted = limits.map((limit) => limit.match(pattern)).filter(Boolean).map((match) => [Number(match[1]), Number(match[2])]);
  return counted.filter(([, of]) => of > 0).sort(([one, of], [other, all]) => other / all - one / of);
}

function doubtOfFound() {
  const [worst] = limitsOf(/drawn in (\d+) of (\d+)/);
  return worst ? `Look for yourself: this model also draws a tumour where there is none, in ${worst[0]} of ${worst[1]} slices of one set.` : "";
}

function doubtOfNone() {
  const [worst] = limitsOf(/(\d+) of (\d+) tumours (?:were )?missed/);
  return worst ? `That is no proof: this model missed ${worst[0]} of ${worst[1]} tumours of one set.` : "That is no proof that there is none.";
}

function sizes(one) {
  if (one.tumour_ml !== null) return [`${number(one.tumour_ml, one.tumour_ml < 10 ? 2 : 1)} ml`, `${numbered(one.tumour_px, "voxel")}`, "Volume"];
  if (one.tumour_mm2 !== null) return [`${number(one.tumour_mm2)} mm²`, `${numbered(one.tumour_px, "pixel")}`, "Area"];
  return [`${number(one.tumour_px)} px`, "the file does not say how large a pixel is", "Area"];
}

function showFigures(one) {
  const tile = (name, value, more = "", wide = false) => make("div", { className: wide ? "wide" : "" }, make("dt", {}, name), make("dd", {}, value, ...(more ? [make("small", {}, more)] : [])));
  if (one.error) return at("figures").replaceChildren();
  const [size, more, name] = sizes(one);
  const tiles = [tile(name, size, more, true), tile("Of the image", `${number(100 * one.tumour_share, 2)} %`)];
  if (one.confidence !== null) tiles.push(tile("Confidence", number(one.confidence, 2), "Dice that it expects"));
  at("figures").replaceChildren(...tiles);
}

function showRegions(one) {
  at("regions").hidden = !one.regions.length;
  const size = (region) => (region.ml !== null ? `${number(region.ml, 2)} ml` : region.mm2 !== null ? `${number(region.mm2)} mm²` : `${number(region.px)} px`);
  at("regions").replaceChildren(...one.regions.map((region) => make("tr", {}, make("th", {}, words(region.region)), make("td", { className: "right" }, size(region)))));
}

function showNotes(one) {
  const { left_out: leftOut, remarks } = state.answer;
  const more = leftOut.length > MOST_SHOWN ? [`and ${number(leftOut.length - MOST_SHOWN)} more files`] : [];
  const out = leftOut.slice(0, MOST_SHOWN).map((text) => `left out: ${text}`);
  const notes = [one.note, ...remarks, ...out, ...more].filter(Boolean);
  at("notes").replaceChildren(...notes.map((text) => make("li", {}, text)));
}

// ---------------------------------------------------------------- downloads

function blobOf(file) {
  const text = atob(file.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: file.media_type });
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function downloadButton(file) {
  const button = make("button", { type: "button", title: file.name }, `${KINDS[file.kind]} (${ENDINGS[file.media_type] || "file"})`);
  button.dataset.download = file.kind;
  if (file.kind === "mask") button.className = "primary";
  button.onclick = () => save(blobOf(file), file.name);
  return button;
}

function allButton() {
  if (state.answer.cases.length < 2) return [];
  const button = make("button", { type: "button" }, "All masks");
  button.dataset.download = "all";
  button.onclick = () => state.answer.cases.flatMap((one) => one.files).filter((file) => file.kind === "mask").forEach((file, index) => setTimeout(() => save(blobOf(file), file.name), 150 * index));
  return [button];
}

// ---------------------------------------------------------------- runs

async function loadRuns() {
  const runs = await ask("/runs");
  at("runs-box").hidden = !runs.length;
  const head = make("tr", {}, ...["run", "Dice by patient", "cases", "changed", ""].map((text) => make("th", {}, text)));
  const rows = runs.map((run) => {
    const link = run.page ? make("a", { href: `/runs/${run.key}`, target: "_blank", rel: "noopener" }, `open the ${run.page}`) : "";
    const cells = [run.name, run.dice === null ? "–" : number(run.dice, 3), run.counted || run.state, new Date(1000 * run.changed).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }), link];
    return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  });
  at("runs").replaceChildren(head, ...rows);
}

// ---------------------------------------------------------------- the page

function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
}

const ACTIONS = {
  theme: toggleTheme,
  "choose-files": () => at("files").click(),
  "choose-folder": () => at("folder").click(),
  card: () => openCard(),
  "close-card": () => at("card-box").close(),
  cancel: () => state.request?.abort(),
  assign: sendAssigned,
};

document.addEventListener("click", (event) => ACTIONS[event.target.closest("[data-action]:not(.tv *)")?.dataset.action]?.());
for (const id of ["files", "folder"]) {
  at(id).onchange = (event) => {
    send([...event.target.files].map((file) => named(file)));
    event.target.value = "";
  };
}
at("model").onchange = showModel;
at("cases").onchange = (event) => showCase(Number(event.target.value));
for (const kind of ["dragover", "dragenter"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  send(await filesOfDrop(event.dataTransfer));
});

async function begin() {
  try {
    await loadModels();
    await loadRuns();
    const { version, limits } = await ask("/health");
    at("about").textContent = `Tumorline ${version}; at most ${number(limits.megabytes)} MB and ${number(limits.files)} files at a time.`;
    document.body.dataset.ready = "1";
  } catch (error) {
    showTrouble(error.message);
  }
}

begin();
