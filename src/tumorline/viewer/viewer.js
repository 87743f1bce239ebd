// The case viewer: a picture, or a volume in three planes, with true and predicted regions. No imports, no network.
// What `show` takes is described in encoding.py. Texts of a case are untrusted: they only ever become text nodes.

const TRUTH = "#56b4e9", PREDICTED = "#e69f00", CORRECTED = "#f25fd0";
const REGIONS = ["#56b4e9", "#f0a000", "#f06ad0", "#40d0a0", "#e8e05a", "#b08cff", "#ff8a70", "#9adf60"];
const FALSE_POSITIVE = "#f0542d", FALSE_NEGATIVE = "#3d8bff", AGREED = "#2fae7f", BOTH = "#c45cff";
const PLANES = ["axial", "coronal", "sagittal"];
const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };
const LONGEST_ZOOM = 24, MOST_STROKES = 100, STILL_PX = 4;
const AS_SEEN = [[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]];

// ---------------------------------------------------------------- data

function toBytes(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function through(stream, bytes) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

async function inflate(array, count) {
  const Type = TYPES[array.dtype];
  if (!Type) throw new Error("an array of an unknown type");
  const bytes = await through(new DecompressionStream("deflate"), toBytes(array.data));
  if (bytes.length !== count * Type.BYTES_PER_ELEMENT) throw new Error("an array of another size than stated");
  return new Type(bytes.buffer);
}

async function decodeMosaic(image, [depth, height, width]) {
  const blob = new Blob([toBytes(image.data)], { type: `image/${image.encoding}` });
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const columns = image.columns || 1;
  const canvas = new OffscreenCanvas(picture.width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const values = new Uint8Array(depth * height * width);
  for (let top = 0; top * columns < depth; top++) { // a row of slices at a time, so that no canvas is too large
    context.drawImage(picture, 0, top * height, picture.width, height, 0, 0, picture.width, height);
    const pixels = context.getImageData(0, 0, picture.width, height).data;
    for (let column = 0; column < columns && top * columns + column < depth; column++) {
      let target = (top * columns + column) * height * width;
      for (let row = 0; row < height; row++) {
        let from = 4 * (row * picture.width + column * width);
        for (let i = 0; i < width; i++, from += 4) values[target++] = pixels[from];
      }
    }
  }
  picture.close();
  return values;
}

const threeAxes = (space) => (space.length === 3 ? space.slice() : [1, ...space]);

async function decodeImage(image) {
  const shape = threeAxes(image.shape), count = shape[0] * shape[1] * shape[2];
  const values = image.encoding === "deflate" ? await inflate(image, count) : await decodeMosaic(image, shape);
  const [low, high] = image.range || [0, 255];
  const most = values.BYTES_PER_ELEMENT === 2 ? 65535 : 255;
  return { name: image.name || "", shape, values, low, high, most, window: image.window || [0, most] };
}

/** A case as arrays: images by channel, masks as bits of regions. Rejects for data that do not keep the contract. */
export async function decodeCase(data) {
  const space = threeAxes(data.space), count = space[0] * space[1] * space[2];
  const spacing = data.spacing ? [...data.spacing] : data.space.map(() => 1);
  const mask = async (array) => ({ name: array.name || "", bits: await inflate(array, count) });
  const [images, truth, predictions] = await Promise.all([
    Promise.all(data.images.map(decodeImage)),
    data.truth ? mask(data.truth) : null,
    Promise.all((data.predictions || []).map(mask)),
  ]);
  if (!images.length) throw new Error("a case without an image");
  const regions = data.regions && data.regions.length ? data.regions : ["tumour"];
  return {
    id: data.id, title: data.title || data.id, space, isVolume: data.space.length === 3, hasSpacing: Boolean(data.spacing),
    spacing: spacing.length === 3 ? spacing : [1, ...spacing], affine: data.affine || AS_SEEN, regions,
    labels: data.labels || regions.map((name, r) => ({ value: regions.length > 1 ? r + 1 : 255, bits: 1 << r, name })),
    outlined: data.outlined || "", images, truth, predictions, notes: data.notes || [],
  };
}

/** How a plane is cut out of an array: the voxel of row r and column c is base + r * down + c * right. */
function cut(axis, [depth, height, width], at) {
  if (axis === 0) return { rows: height, columns: width, base: at * height * width, down: width, right: 1 };
  const top = (depth - 1) * height * width; // the head is up
  if (axis === 1) return { rows: depth, columns: width, base: top + at * width, down: -height * width, right: 1 };
  return { rows: depth, columns: height, base: top + at, down: -height * width, right: width };
}

/** The boundary of the pixels that are `inside` (rows x columns) as closed loops around whole pixels. */
function outline(inside, rows, columns) {
  const wide = columns + 1, next = new Map();
  const edge = (from, to) => (next.has(from) ? next.get(from).push(to) : next.set(from, [to]));
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const i = r * columns + c, corner = r * wide + c;
      if (!inside[i]) continue;
      if (r === 0 || !inside[i - columns]) edge(corner, corner + 1);
      if (c === columns - 1 || !inside[i + 1]) edge(corner + 1, corner + 1 + wide);
      if (r === rows - 1 || !inside[i + columns]) edge(corner + 1 + wide, corner + wide);
      if (c === 0 || !inside[i - 1]) edge(corner + wide, corner);
    }
  }
  const path = new Path2D();
  while (next.size) {
    const start = next.keys().next().value;
    let at = start, before = 0;
    path.moveTo(at % wide, Math.floor(at / wide));
    do {
      const ends = next.get(at), to = ends.pop();
      if (!ends.length) next.delete(at);
      if (before && to - at !== before) path.lineTo(at % wide, Math.floor(at / wide));
      before = to - at;
      at = to;
    } while (at !== start);
    path.closePath();
  }
  return path;
}

const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// ---------------------------------------------------------------- files

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function chunk(name, content) {
  const bytes = new Uint8Array(12 + content.length), view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(content, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < bytes.length - 4; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  view.setUint32(bytes.length - 4, ~crc >>> 0);
  return bytes;
}

/** A grey PNG of as many bits as the values have, 8 or 16. */
export async function toPng(values, height, width) {
  const each = values.BYTES_PER_ELEMENT, line = each * width + 1; // a filter before each row
  const raw = new DataView(new ArrayBuffer(height * line)), header = new Uint8Array(13), view = new DataView(header.buffer);
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(i / width) * line + 1 + each * (i % width);
    if (each === 2) raw.setUint16(at, values[i]);
    else raw.setUint8(at, values[i]);
  }
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8 * each;
  const pixels = await through(new CompressionStream("deflate"), raw);
  const mark = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const parts = [mark, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", new Uint8Array(0))];
  return new Blob(parts, { type: "image/png" });
}

/** A gzipped NIfTI of whole numbers (D, H, W), as wide as the values; the affine leads from (d, h, w) to millimetres. */
export async function toNifti(values, [depth, height, width], affine, inMm, outlined = "") {
  const bytes = new Uint8Array(352 + values.byteLength), view = new DataView(bytes.buffer);
  const columns = [2, 1, 0]; // the file's first axis is the last of ours
  view.setInt32(0, 348, true);
  [3, width, height, depth, 1, 1, 1, 1].forEach((side, i) => view.setInt16(40 + 2 * i, side, true));
  view.setInt16(70, values.BYTES_PER_ELEMENT === 2 ? 512 : 2, true);
  view.setInt16(72, 8 * values.BYTES_PER_ELEMENT, true);
  view.setFloat32(76, 1, true);
  columns.forEach((from, i) => {
    view.setFloat32(80 + 4 * i, Math.hypot(affine[0][from], affine[1][from], affine[2][from]), true);
  });
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 1, true);
  view.setUint8(123, inMm ? 2 : 0);
  if (outlined) bytes.set(new TextEncoder().encode(`tumorline ${outlined}`).slice(0, 79), 148); // see corrections.py
  view.setInt16(254, 1, true);
  for (let row = 0; row < 3; row++) {
    [...columns, 3].forEach((from, i) => view.setFloat32(280 + 16 * row + 4 * i, affine[row][from], true));
  }
  bytes.set([110, 43, 49, 0], 344);
  bytes.set(new Uint8Array(values.buffer), 352);
  return new Blob([await through(new CompressionStream("gzip"), bytes)], { type: "application/gzip" });
}

// ---------------------------------------------------------------- the page's elements

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

const words = (name) => String(name).replaceAll("_", " ");

/** One plane on the screen: where it is cut, how it is zoomed, and what is kept of it between drawings. */
class Plane {
  constructor(viewer, axis, name) {
    Object.assign(this, { viewer, axis, name, zoom: 1, x: 0, y: 0, base: null, paths: new Map() });
    this.canvas = make("canvas", { "data-plane": name, "aria-label": name, role: "img" });
    this.slider = make("input", {
      type: "range", min: 0, step: 1, "data-control": `slice-${axis}`, "aria-label": `slice, ${name}`,
      oninput: () => viewer.moveTo(axis, Number(this.slider.value)),
    });
    this.caption = make("span", { class: "tv-caption" });
    const below = viewer.case.isVolume ? make("figcaption", {}, this.slider, this.caption) : null;
    this.figure = make("figure", { class: "tv-plane" }, this.canvas, below);
    this.listen();
  }

  get window() { return cut(this.axis, this.viewer.case.space, this.viewer.at[this.axis]); }

  get sides() { // of a pixel: down, right
    const [depth, row, column] = this.viewer.case.spacing;
    return [[row, column], [depth, column], [depth, row]][this.axis];
  }

  /** Scale and place of the plane on the canvas, in device pixels. */
  get place() {
    const { rows, columns } = this.window, [tall, wide] = this.sides, { width, height } = this.canvas;
    const fit = Math.min(width / (columns * wide), height / (rows * tall)) * this.zoom;
    const left = (width - columns * wide * fit) / 2 + this.x * width, top = (height - rows * tall * fit) / 2 + this.y * height;
    return { left, top, right: wide * fit, down: tall * fit };
  }

  /** Row and column under a pointer, not yet whole. */
  under(event) {
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / (box.width || 1), place = this.place;
    const x = (event.clientX - box.left) * ratio, y = (event.clientY - box.top) * ratio;
    return { row: (y - place.top) / place.down, column: (x - place.left) / place.right };
  }

  zoomBy(factor, event) {
    const before = event && this.under(event);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), LONGEST_ZOOM);
    if (this.zoom === 1) this.x = this.y = 0;
    else if (before) { // what lies under the pointer stays there
      const after = this.under(event), place = this.place;
      this.x += ((after.column - before.column) * place.right) / this.canvas.width;
      this.y += ((after.row - before.row) * place.down) / this.canvas.height;
    }
    this.viewer.draw();
  }

  panBy(dx, dy) {
    const box = this.canvas.getBoundingClientRect();
    const most = this.zoom / 2;
    this.x = Math.min(Math.max(this.x + dx / box.width, -most), most);
    this.y = Math.min(Math.max(this.y + dy / box.height, -most), most);
    this.viewer.draw();
  }

  listen() {
    const { canvas, viewer } = this, fingers = new Map();
    let drag = null, spread = 0;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      viewer.root.focus({ preventScroll: true });
      fingers.set(event.pointerId, event);
      spread = 0;
      try { canvas.setPointerCapture(event.pointerId); } catch { /* a pointer that a script made up */ }
      const pans = event.shiftKey || event.button > 0 || viewer.tool === "pan";
      drag = { x: event.clientX, y: event.clientY, moved: 0, kind: pans ? "pan" : viewer.tool };
      if (viewer.paints && !pans) viewer.beginStroke(), viewer.paint(this, this.under(event), null);
      drag.last = this.under(event);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = this.under(event);
      viewer.tellValue(this, here);
      if (!drag || !fingers.has(event.pointerId)) return viewer.paints ? viewer.draw(this, here) : undefined;
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) return this.pinch([...fingers.values()], (now) => [spread, spread = now][0]);
      const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
      Object.assign(drag, { x: event.clientX, y: event.clientY, moved: drag.moved + Math.abs(dx) + Math.abs(dy) });
      if (drag.kind === "pan") this.panBy(dx, dy);
      else if (viewer.stroke && viewer.paints) viewer.paint(this, here, drag.last);
      else viewer.windowBy(dx / canvas.clientWidth, dy / canvas.clientHeight);
      drag.last = here;
    });
    const end = (event) => {
      fingers.delete(event.pointerId);
      if (drag && drag.kind === "window" && drag.moved < STILL_PX) viewer.crossAt(this, this.under(event));
      if (!fingers.size) drag = null;
      viewer.endStroke();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => viewer.tellValue(null));
    canvas.addEventListener("dblclick", () => viewer.paints || viewer.reset());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (viewer.case.isVolume && !event.ctrlKey) viewer.scroll(this.axis, event.deltaY > 0 ? 1 : -1);
      else this.zoomBy(Math.exp(-event.deltaY / 400), event);
    }, { passive: false });
  }

  pinch([one, two], remember) {
    const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY), before = remember(now);
    const middle = { clientX: (one.clientX + two.clientX) / 2, clientY: (one.clientY + two.clientY) / 2 };
    if (before) this.zoomBy(now / before, middle);
  }

  forget() {
    this.base = null;
    this.paths.clear();
  }

  /** The grey plane as a small canvas of the image's own pixels. */
  grey() {
    const { viewer } = this, image = viewer.image, { space } = viewer.case;
    const at = Math.min(Math.floor(((viewer.at[this.axis] + 0.5) * image.shape[this.axis]) / space[this.axis]), image.shape[this.axis] - 1);
    const { rows, columns, base, down, right } = cut(this.axis, image.shape, at);
    const picture = new ImageData(columns, rows), [low, high] = viewer.levels;
    const scale = 255 / Math.max(high - low, 1e-6);
    for (let r = 0, to = 0; r < rows; r++) {
      for (let c = 0, from = base + r * down; c < columns; c++, from += right, to += 4) {
        picture.data[to] = picture.data[to + 1] = picture.data[to + 2] = (image.values[from] - low) * scale;
        picture.data[to + 3] = 255;
      }
    }
    const canvas = new OffscreenCanvas(columns, rows);
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  }

  /** The bits of a mask in this plane. */
  bitsOf(mask) {
    const { rows, columns, base, down, right } = this.window, found = new mask.constructor(rows * columns);
    for (let r = 0, to = 0; r < rows; r++) {
      for (let c = 0, from = base + r * down; c < columns; c++, from += right) found[to++] = mask[from];
    }
    return found;
  }

  pathOf(key, bits, region) {
    const name = `${key} ${region}`;
    if (!this.paths.has(name)) {
      const { rows, columns } = this.window;
      this.paths.set(name, outline(bits.map((value) => (value >>> region) & 1), rows, columns));
    }
    return this.paths.get(name);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  draw(pointer) {
    const { viewer, canvas } = this, context = canvas.getContext("2d"), place = this.place;
    const { rows, columns } = this.window, ratio = window.devicePixelRatio || 1;
    this.base ||= this.grey();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    const box = [place.left, place.top, columns * place.right, rows * place.down];
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.base, ...box);
    const layers = viewer.layers.map((layer) => ({ ...layer, plane: this.bitsOf(layer.bits) }));
    const colours = viewer.showsErrors ? this.errors() : this.fills(layers);
    if (colours) {
      context.imageSmoothingEnabled = false;
      context.globalAlpha = viewer.opacity;
      context.drawImage(colours, ...box);
    }
    context.globalAlpha = Math.min(1, 0.25 + viewer.opacity);
    context.lineWidth = 1.7 * ratio;
    for (const layer of layers) {
      for (const region of viewer.shownRegions) {
        const line = new Path2D();
        line.addPath(this.pathOf(layer.key, layer.plane, region), new DOMMatrix([place.right, 0, 0, place.down, place.left, place.top]));
        context.setLineDash(layer.dashed ? [5 * ratio, 3 * ratio] : []);
        context.strokeStyle = viewer.colourOf(layer, region);
        context.stroke(line);
      }
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
    if (viewer.case.isVolume) this.drawCross(context, place, rows, columns, ratio);
    if (pointer && viewer.paints) this.drawBrush(context, place, pointer, ratio);
  }

  drawCross(context, place, rows, columns, ratio) {
    const { row, column } = this.viewer.crossIn(this);
    context.strokeStyle = "rgba(255,255,255,.35)";
    context.lineWidth = ratio;
    context.beginPath();
    const y = place.top + (row + 0.5) * place.down, x = place.left + (column + 0.5) * place.right;
    context.moveTo(place.left, y);
    context.lineTo(place.left + columns * place.right, y);
    context.moveTo(x, place.top);
    context.lineTo(x, place.top + rows * place.down);
    context.stroke();
  }

  drawBrush(context, place, pointer, ratio) {
    const [tall, wide] = this.sides, radius = (this.viewer.brushSize / 2) * Math.min(tall, wide);
    context.strokeStyle = "#fff";
    context.lineWidth = ratio;
    context.beginPath();
    context.ellipse(place.left + pointer.column * place.right, place.top + pointer.row * place.down,
      (radius / wide) * place.right, (radius / tall) * place.down, 0, 0, 7);
    context.stroke();
  }

  coloured(colourAt) {
    const { rows, columns } = this.window, picture = new ImageData(columns, rows);
    for (let i = 0; i < rows * columns; i++) {
      const colour = colourAt(i);
      if (colour) picture.data.set(colour, 4 * i);
    }
    const canvas = new OffscreenCanvas(columns, rows);
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  }

  fills(layers) {
    const { viewer } = this, filled = layers.filter((layer) => viewer.fills || layer.key === "corrected");
    if (!filled.length) return null;
    const regions = viewer.shownRegions, colours = filled.map((layer) => regions.map((region) => rgb(viewer.colourOf(layer, region))));
    return this.coloured((i) => {
      let colour = null;
      filled.forEach((layer, number) => regions.forEach((region, index) => {
        if ((layer.plane[i] >>> region) & 1) colour = [...colours[number][index], colour && number ? 190 : 150];
      }));
      return colour;
    });
  }

  errors() {
    const { viewer } = this, pair = viewer.pair;
    if (!pair) return null;
    const truth = this.bitsOf(pair.truth), predicted = this.bitsOf(pair.predicted), wanted = viewer.regionBits;
    const [extra, lost, agreed, both] = [FALSE_POSITIVE, FALSE_NEGATIVE, AGREED, BOTH].map(rgb);
    return this.coloured((i) => {
      const more = predicted[i] & ~truth[i] & wanted, less = truth[i] & ~predicted[i] & wanted;
      if (more && less) return [...both, 235];
      if (more) return [...extra, 235];
      if (less) return [...lost, 235];
      return truth[i] & wanted ? [...agreed, 90] : null;
    });
  }
}

// ---------------------------------------------------------------- the viewer

/** Shows one case at a time in `element`. See encoding.py for what `show` takes. */
export class Viewer {
  constructor(element, options = {}) {
    this.options = { editable: true, save: "Save the mask", ...options };
    Object.assign(this, {
      case: null, planes: [], showsTruth: true, showsPrediction: true, showsErrors: false, fills: false, opacity: 0.75,
      tool: "window", brushSize: 9, region: -1, corrections: new WeakMap(), turn: 0, message: "",
    });
    this.root = make("div", { class: "tv", tabindex: 0, role: "group", "aria-label": "case viewer" });
    element.replaceChildren(this.root);
    (this.options.keys || this.root).addEventListener("keydown", (event) => this.pressed(event));
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.root);
    this.clear("");
  }

  clear(text) {
    this.turn++;
    this.endStroke();
    this.case = null;
    this.planes = [];
    delete this.root.dataset.ready;
    delete this.root.dataset.case;
    this.root.replaceChildren(make("p", { class: "tv-empty", text }));
  }

  /** What is corrected is kept for `owner`, an object that lives as long as it may be shown again. */
  async show(data, owner = data) {
    const turn = ++this.turn;
    delete this.root.dataset.ready;
    const shown = await decodeCase(data);
    if (turn !== this.turn) return; // another case was asked for meanwhile
    this.endStroke();
    Object.assign(this, { case: shown, owner });
    this.channel = Math.min(this.channel || 0, shown.images.length - 1);
    this.chosen = Math.min(this.chosen || 0, Math.max(shown.predictions.length - 1, 0));
    if (this.region >= shown.regions.length) this.region = -1;
    this.label = shown.labels[shown.labels.length - 1];
    this.levels = [...this.image.window];
    this.at = this.middleOfTumour();
    this.message = "";
    this.build();
    this.draw();
    this.root.dataset.case = shown.id;
    this.root.dataset.ready = "1";
  }

  get image() { return this.case.images[this.channel]; }
  get prediction() { return this.case.predictions[this.chosen] || null; }
  get correction() { return this.case && this.corrections.get(this.owner); }
  get paints() { return this.tool === "brush" || this.tool === "erase"; }
  get shownRegions() { return this.region < 0 ? this.case.regions.map((_, number) => number) : [this.region]; }
  get regionBits() { return this.region < 0 ? 0xffffffff : 1 << this.region; }

  /** What the error map compares: what was corrected, else the prediction, with the truth. */
  get pair() {
    const predicted = this.correction ? this.correction.bits : this.prediction && this.prediction.bits;
    return this.case.truth && predicted ? { truth: this.case.truth.bits, predicted } : null;
  }

  get layers() {
    const found = [];
    if (this.showsTruth && this.case.truth) found.push({ key: "truth", bits: this.case.truth.bits });
    if (this.showsPrediction && this.prediction) found.push({ key: `prediction ${this.chosen}`, bits: this.prediction.bits, dashed: true });
    if (this.correction) found.push({ key: "corrected", bits: this.correction.bits });
    return found;
  }

  get state() {
    const { showsTruth: truth, showsPrediction: prediction, showsErrors: error, fills, opacity, levels, tool, region, chosen, channel } = this;
    return { case: this.case && this.case.id, slice: this.at, truth, prediction, error, fills, opacity, window: levels, tool, region, chosen, channel,
      zoom: this.planes.map((plane) => plane.zoom), corrected: Boolean(this.correction && this.correction.strokes.length) };
  }

  colourOf(layer, region) {
    if (layer.key === "corrected") return this.case.regions.length > 1 ? REGIONS[region % REGIONS.length] : CORRECTED;
    if (this.case.regions.length > 1) return REGIONS[region % REGIONS.length];
    return layer.key === "truth" ? TRUTH : PREDICTED;
  }

  /** The middle of each axis where most of the tumour lies: the true one, else the predicted one, else the middle. */
  middleOfTumour() {
    const [depth, height, width] = this.case.space, masks = [this.case.truth, ...this.case.predictions].filter(Boolean);
    if (!this.case.isVolume) return [0, Math.floor(height / 2), Math.floor(width / 2)];
    for (const { bits } of masks) {
      const counts = [depth, height, width].map((side) => new Uint32Array(side));
      let some = false;
      for (let i = 0; i < bits.length; i++) {
        if (!bits[i]) continue;
        some = true;
        counts[0][Math.floor(i / (height * width))]++;
        counts[1][Math.floor(i / width) % height]++;
        counts[2][i % width]++;
      }
      if (some) return counts.map((count) => count.indexOf(Math.max(...count)));
    }
    return [depth, height, width].map((side) => Math.floor(side / 2));
  }

  // ------------------------------------------------------------ controls

  build() {
    const shown = this.case, names = shown.isVolume ? PLANES : ["picture"];
    this.planes = names.map((name, axis) => new Plane(this, axis, name));
    const planes = make("div", { class: shown.isVolume ? "tv-planes tv-three" : "tv-planes" }, ...this.planes.map((plane) => plane.figure));
    for (const plane of this.planes) {
      const { rows, columns } = plane.window, [tall, wide] = plane.sides;
      plane.canvas.style.aspectRatio = `${columns * wide} / ${rows * tall}`;
      plane.figure.style.flexGrow = String((columns * wide) / (rows * tall));
      plane.slider.max = String(shown.space[plane.axis] - 1);
    }
    this.status = make("div", { class: "tv-status", "aria-live": "polite" });
    this.value = make("span", { class: "tv-value" });
    this.legend = make("div", { class: "tv-legend" });
    const notes = shown.notes.map((text) => make("span", { text }));
    this.root.replaceChildren(
      this.titleBar(), planes, this.layerBar(), this.toolBar(), this.legend,
      make("div", { class: "tv-notes" }, ...notes, this.value), this.status,
    );
    this.tellControls();
  }

  button(action, text, title, run) {
    return make("button", { type: "button", "data-action": action, title, text, onclick: () => (run(), this.tellControls(), this.draw()) });
  }

  choice(control, title, options, chosen, run) {
    const entries = options.map((text, number) => make("option", { value: number, text, selected: number === chosen }));
    const list = make("select", { "data-control": control, "aria-label": title, title, onchange: () => (run(Number(list.value)), this.tellControls(), this.draw()) }, ...entries);
    return list;
  }

  titleBar() {
    const { onStep } = this.options, title = make("b", { class: "tv-title", text: this.case.title });
    if (!onStep) return make("div", { class: "tv-bar tv-head" }, title);
    return make("div", { class: "tv-bar tv-head" },
      make("button", { type: "button", "data-action": "previous", title: "previous case (left)", text: "◀", "aria-label": "previous case", onclick: () => onStep(-1) }),
      title,
      make("button", { type: "button", "data-action": "next", title: "next case (right)", text: "▶", "aria-label": "next case", onclick: () => onStep(1) }));
  }

  layerBar() {
    const shown = this.case, toggle = (name) => () => { this[name] = !this[name]; };
    const slider = make("input", { type: "range", min: 0, max: 100, value: Math.round(100 * this.opacity), "data-control": "opacity", "aria-label": "opacity",
      oninput: () => { this.opacity = Number(slider.value) / 100; this.draw(); } });
    const predictions = shown.predictions.map((prediction, number) => prediction.name || `prediction ${number + 1}`);
    return make("div", { class: "tv-bar" },
      shown.truth && this.button("truth", "Truth", "show the true outline (T)", toggle("showsTruth")),
      this.prediction && this.button("prediction", "Prediction", "show the predicted outline (P)", toggle("showsPrediction")),
      shown.truth && (this.prediction || this.options.editable) && this.button("error", "Errors", "false positives and false negatives (E)", toggle("showsErrors")),
      (shown.truth || this.prediction) && this.button("fill", "Fill", "fill the outlines (F)", toggle("fills")),
      make("label", { class: "tv-label", text: "opacity " }, slider),
      predictions.length > 1 && this.choice("prediction", "which prediction (1-9)", predictions, this.chosen, (number) => { this.chosen = number; }),
      shown.regions.length > 1 && this.choice("region", "region", ["all regions", ...shown.regions.map(words)], this.region + 1, (number) => { this.region = number - 1; }),
      shown.images.length > 1 && this.choice("channel", "channel", shown.images.map((image, number) => words(image.name) || `channel ${number + 1}`), this.channel,
        (number) => { this.channel = number; this.levels = [...this.image.window]; this.planes.forEach((plane) => plane.forget()); }));
  }

  toolBar() {
    const pick = (tool) => () => { this.tool = tool; };
    const size = make("input", { type: "range", min: 1, max: 60, value: this.brushSize, "data-control": "brush-size", "aria-label": "width of the brush in pixels",
      oninput: () => { this.brushSize = Number(size.value); } });
    const labels = this.case.labels, edit = this.options.editable ? [
      make("span", { class: "tv-gap" }),
      this.button("brush", "Brush", "correct the mask: paint (B)", pick("brush")),
      this.button("erase", "Erase", "correct the mask: erase (X)", pick("erase")),
      labels.length > 1 && this.choice("label", "what the brush paints", labels.map((label) => words(label.name)), labels.indexOf(this.label), (number) => { this.label = labels[number]; }),
      make("label", { class: "tv-label", text: "width " }, size),
      this.button("undo", "Undo", "take back the last stroke (Ctrl+Z)", () => this.undo()),
      this.button("discard", "Discard", "give up the correction", () => { this.corrections.delete(this.owner); this.tool = "window"; this.planes.forEach((plane) => plane.forget()); }),
      this.button("save", this.options.save, "the corrected mask as a new file; nothing is replaced", () => this.save()),
    ] : [];
    return make("div", { class: "tv-bar" },
      this.button("window", "Window", "drag: window and level; click: place the planes", pick("window")),
      this.button("pan", "Pan", "drag: move (or Shift and drag)", pick("pan")),
      this.button("zoom-in", "+", "zoom in (+, or the wheel)", () => this.zoomAll(1.4)),
      this.button("zoom-out", "−", "zoom out (-)", () => this.zoomAll(1 / 1.4)),
      this.button("reset", "Reset", "zoom, window and level as at first (R)", () => this.reset()), ...edit);
  }

  tellControls() {
    if (!this.case) return;
    const pressed = { truth: this.showsTruth, prediction: this.showsPrediction, error: this.showsErrors, fill: this.fills,
      window: this.tool === "window", pan: this.tool === "pan", brush: this.tool === "brush", erase: this.tool === "erase" };
    for (const [action, on] of Object.entries(pressed)) {
      const button = this.root.querySelector(`[data-action=${action}]`);
      if (button) button.setAttribute("aria-pressed", String(on));
    }
    const strokes = this.correction ? this.correction.strokes.length : 0;
    for (const [action, on] of Object.entries({ undo: strokes, discard: this.correction, save: this.correction })) {
      const button = this.root.querySelector(`[data-action=${action}]`);
      if (button) button.disabled = !on;
    }
    for (const plane of this.planes) {
      plane.slider.value = String(this.at[plane.axis]);
      plane.caption.textContent = `${plane.name} ${this.at[plane.axis] + 1} of ${this.case.space[plane.axis]}`;
    }
    this.status.textContent = this.message;
    this.tellLegend();
  }

  tellLegend() {
    const entries = [], key = (colour, text, line) => entries.push(make("span", {}, make("i", { class: `tv-key tv-${line}`, style: `--tv-colour: ${colour}` }), text));
    if (this.showsErrors && this.pair) {
      key(FALSE_POSITIVE, "false positive", "box");
      key(FALSE_NEGATIVE, "false negative", "box");
      key(AGREED, "both", "box");
      if (this.case.regions.length > 1) key(BOTH, "another region", "box");
    }
    const several = this.case.regions.length > 1;
    for (const layer of this.layers) {
      const name = layer.key === "truth" ? "true" : layer.key === "corrected" ? "corrected" : this.prediction.name && this.case.predictions.length > 1 ? this.prediction.name : "predicted";
      key(several ? "currentColor" : this.colourOf(layer, 0), name, layer.dashed ? "dashed" : "solid");
    }
    if (several) for (const region of this.shownRegions) key(REGIONS[region % REGIONS.length], words(this.case.regions[region]), "box");
    this.legend.replaceChildren(...entries);
  }

  tellValue(plane, place) {
    const at = plane && this.voxelAt(plane, place);
    if (!at) return void (this.value.textContent = "");
    const { shape, values, low, high, most } = this.image, { space } = this.case;
    const [d, h, w] = at.map((value, axis) => Math.floor(((value + 0.5) * shape[axis]) / space[axis]));
    const grey = low + (values[(d * shape[1] + h) * shape[2] + w] / most) * (high - low);
    const where = this.case.isVolume ? at.join(", ") : `row ${at[1]}, column ${at[2]}`;
    this.value.textContent = `${where}: ${Number(grey.toPrecision(4))}`;
  }

  // ------------------------------------------------------------ moving about

  voxelAt(plane, { row, column }) {
    const { rows, columns } = plane.window, r = Math.floor(row), c = Math.floor(column), top = this.case.space[0] - 1;
    if (r < 0 || c < 0 || r >= rows || c >= columns) return null;
    if (plane.axis === 0) return [this.at[0], r, c];
    return plane.axis === 1 ? [top - r, this.at[1], c] : [top - r, c, this.at[2]];
  }

  crossIn(plane) {
    const [d, h, w] = this.at, top = this.case.space[0] - 1;
    return [{ row: h, column: w }, { row: top - d, column: w }, { row: top - d, column: h }][plane.axis];
  }

  crossAt(plane, place) {
    const at = this.case.isVolume && this.voxelAt(plane, place);
    if (at) at.forEach((value, axis) => this.moveTo(axis, value));
  }

  moveTo(axis, value) {
    const at = Math.min(Math.max(value, 0), this.case.space[axis] - 1);
    if (at === this.at[axis]) return;
    this.at[axis] = at;
    this.planes[axis].forget();
    this.tellControls();
    this.draw();
  }

  scroll(axis, by) { this.moveTo(axis, this.at[axis] + by); }

  windowBy(wide, level) {
    const [low, high] = this.levels, most = this.image.most;
    const width = Math.min(Math.max((high - low) * Math.exp(2 * wide), most / 256), 2 * most);
    const centre = Math.min(Math.max((low + high) / 2 + level * most, 0), most);
    this.levels = [centre - width / 2, centre + width / 2];
    this.planes.forEach((plane) => { plane.base = null; });
    this.draw();
  }

  zoomAll(factor) { this.planes.forEach((plane) => plane.zoomBy(factor)); }

  reset() {
    this.levels = [...this.image.window];
    for (const plane of this.planes) Object.assign(plane, { zoom: 1, x: 0, y: 0, base: null });
    this.draw();
  }

  pressed(event) {
    const typed = event.target.closest && event.target.closest("select, textarea, input:not([type=range]):not([type=checkbox])");
    if (!this.case || typed || event.altKey || event.defaultPrevented) return;
    const key = event.key.toLowerCase(), isSlider = event.target.type === "range";
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" || !this.correction) return;
      this.undo();
    } else if (isSlider && key.startsWith("arrow")) return;
    else if (["arrowup", "arrowdown", "b", "x"].includes(key) && !this.root.contains(event.target)) return; // the page scrolls
    else if (!this.keyed(key)) return;
    event.preventDefault();
    this.tellControls();
    this.draw();
  }

  keyed(key) {
    const { onStep } = this.options, editable = this.options.editable;
    const known = {
      t: () => { this.showsTruth = !this.showsTruth; },
      p: () => { this.showsPrediction = !this.showsPrediction; },
      e: () => { this.showsErrors = !this.showsErrors; },
      f: () => { this.fills = !this.fills; },
      r: () => this.reset(),
      "+": () => this.zoomAll(1.4),
      "-": () => this.zoomAll(1 / 1.4),
      escape: () => { this.tool = "window"; },
      ...(onStep && { arrowright: () => onStep(1), arrowleft: () => onStep(-1) }),
      ...(this.case.isVolume && { arrowup: () => this.scroll(0, 1), arrowdown: () => this.scroll(0, -1) }),
      ...(editable && { b: () => { this.tool = "brush"; }, x: () => { this.tool = "erase"; } }),
    };
    if (/^[1-9]$/.test(key) && this.case.predictions.length > 1 && this.case.predictions[key - 1]) {
      this.chosen = key - 1;
      this.root.querySelector("[data-control=prediction]").value = String(this.chosen);
      return true;
    }
    if (known[key]) known[key]();
    return Boolean(known[key]);
  }

  draw(plane, pointer) {
    if (!this.case || !this.planes.length) return;
    for (const one of this.planes) {
      one.resize();
      one.draw(one === plane ? pointer : null);
    }
  }

  // ------------------------------------------------------------ corrections

  /** Begin with the prediction, else with the truth, else with nothing. */
  startCorrection() {
    if (this.correction) return;
    const from = this.prediction || this.case.truth, [depth, height, width] = this.case.space;
    const Type = from ? from.bits.constructor : this.case.regions.length > 16 ? Uint32Array : this.case.regions.length > 8 ? Uint16Array : Uint8Array;
    this.corrections.set(this.owner, { bits: from ? from.bits.slice() : new Type(depth * height * width), strokes: [] });
  }

  beginStroke() {
    this.startCorrection();
    this.stroke = new Map();
  }

  endStroke() {
    if (!this.stroke) return;
    if (this.stroke.size) {
      this.correction.strokes.push(this.stroke);
      this.correction.strokes.splice(0, this.correction.strokes.length - MOST_STROKES);
    }
    this.stroke = null;
    this.tellControls();
  }

  /** A round dab at a place of a plane, and along the way from where the pointer was before. */
  paint(plane, to, from) {
    const steps = from ? Math.ceil(Math.hypot(to.row - from.row, to.column - from.column)) || 1 : 1;
    for (let step = 1; step <= steps; step++) {
      const share = from ? step / steps : 1, start = from || to;
      this.dab(plane, start.row + (to.row - start.row) * share, start.column + (to.column - start.column) * share);
    }
    for (const one of this.planes) for (const key of one.paths.keys()) if (key.startsWith("corrected")) one.paths.delete(key);
    this.draw(plane, to);
  }

  dab(plane, row, column) {
    const { rows, columns, base, down, right } = plane.window, [tall, wide] = plane.sides, radius = this.brushSize / 2;
    const high = (radius * Math.min(tall, wide)) / tall, broad = (radius * Math.min(tall, wide)) / wide;
    const value = this.tool === "brush" ? this.label.bits : 0, { bits } = this.correction;
    const most = { row: Math.min(rows - 1, Math.floor(row + high)), column: Math.min(columns - 1, Math.floor(column + broad)) };
    for (let r = Math.max(0, Math.floor(row - high)); r <= most.row; r++) {
      for (let c = Math.max(0, Math.floor(column - broad)); c <= most.column; c++) {
        const far = ((r + 0.5 - row) / high) ** 2 + ((c + 0.5 - column) / broad) ** 2;
        const isUnder = r === Math.floor(row) && c === Math.floor(column);
        const i = base + r * down + c * right;
        if ((far > 1 && !isUnder) || bits[i] === value) continue;
        if (!this.stroke.has(i)) this.stroke.set(i, bits[i]);
        bits[i] = value;
      }
    }
  }

  undo() {
    const stroke = this.correction && this.correction.strokes.pop();
    if (!stroke) return;
    for (const [i, value] of stroke) this.correction.bits[i] = value;
    this.planes.forEach((plane) => plane.forget());
  }

  /** The corrected mask as label values: each voxel the label of its regions, else of the most of them. */
  labelValues() {
    const labels = [...this.case.labels], known = new Map(labels.map((label) => [label.bits, label.value]));
    const count = (bits) => { let ones = 0; for (; bits; bits &= bits - 1) ones++; return ones; };
    const fitting = (bits) => labels.filter((label) => (label.bits & ~bits) === 0).sort((a, b) => count(b.bits) - count(a.bits))[0];
    const valueOf = (bits) => {
      if (!known.has(bits)) known.set(bits, bits ? (fitting(bits) || labels[0]).value : 0);
      return known.get(bits);
    };
    const Type = labels.some((label) => label.value > 255) ? Uint16Array : Uint8Array;
    return Type.from(this.correction.bits, valueOf);
  }

  async save() {
    const { id, space, isVolume, affine, hasSpacing, outlined } = this.case, values = this.labelValues();
    const blob = isVolume ? await toNifti(values, space, affine, hasSpacing, outlined) : await toPng(values, space[1], space[2]);
    const name = String(id).replace(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^\.+/, "_").slice(0, 120);
    this.message = download(name + (isVolume ? "_seg.nii.gz" : "_mask.png"), blob);
    this.tellControls();
  }
}

function download(file, blob) {
  const address = URL.createObjectURL(blob), link = make("a", { href: address, download: file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  return `downloaded as ${file}`;
}
