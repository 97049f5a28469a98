// Draws a Plotly figure whose arrays arrive once, and shows the same selected cells in all figures of a page.
// `app/chart/message.py` writes the messages that are read here.

const PLOTLY = new URL("../deepvelo.plotly/plotly.min.js", import.meta.url).href;
const MOST_BYTES = 256e6; // of arrays kept for figures to come
const STORED = "deepvelo.selection "; // and the key of the cells, in sessionStorage, which survives a reload
const TYPES = { f4: Float32Array, i4: Int32Array, u2: Uint16Array, u1: Uint8Array };
const MISSING = 65535; // code of NaN among quantised values
const MOST_BESIDE = 0.3; // of a figure's width, for a legend beside the map
const LABELLED = 400; // pixels of a map for which names of groups were placed, as in `deepvelo/pl/embedding.py`
const CELLS_ONLY = ["select2d", "lasso2d"];

const arrays = new Map(); // by id, the latest used last
const charts = new Set(); // of this page
const selections = new Map(); // by the key of their cells
let bytesKept = 0;
let lastRead = Promise.resolve();
const restored = new Set(); // keys of the cells whose selection of before the reload was looked for

let library;
function plotly() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`could not load ${PLOTLY}`));
    document.head.append(script);
  });
  return library;
}
plotly();

export default function ({ data, parentElement, setTriggerValue }) {
  parentElement.chart ??= new Chart(parentElement, setTriggerValue);
  parentElement.chart.show(data);
  return () => {
    parentElement.chart?.remove();
    delete parentElement.chart;
  };
}

// --- Messages: length of the header, header in JSON (deflated), arrays -----------------------------------------------

/** One after the other, because a message names arrays of those before it. */
function inTurn(message) {
  const header = lastRead.then(() => read(message));
  lastRead = header.catch(() => {});
  return header;
}

async function read(message) {
  const length = new DataView(message.buffer, message.byteOffset).getUint32(0, true);
  const packed = new Blob([message.subarray(4, 4 + length)]).stream();
  const header = await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).json();
  let at = 4 + length;
  for (const { id, type, n, low, high } of header.arrays) {
    const Type = TYPES[type];
    const bytes = message.slice(at, at + n * Type.BYTES_PER_ELEMENT); // a copy is aligned
    at += bytes.length;
    const array = new Type(bytes.buffer);
    keep(id, low === undefined ? array : dequantised(array, low, high));
  }
  return header;
}

function dequantised(codes, low, high) {
  const step = (high - low) / (MISSING - 1);
  return Float32Array.from(codes, (code) => (code === MISSING ? NaN : low + step * code));
}

function keep(id, array) {
  bytesKept += array.byteLength - (arrays.get(id)?.byteLength ?? 0);
  arrays.delete(id);
  arrays.set(id, array);
  for (const [old, { byteLength }] of arrays) {
    if (bytesKept <= MOST_BYTES) break;
    arrays.delete(old);
    bytesKept -= byteLength;
  }
}

/** A part of a header with arrays in place of their ids; ids of arrays that are gone are added to `gone`. */
function filled(part, gone) {
  if (Array.isArray(part)) return part.map((item) => filled(item, gone));
  if (part === null || typeof part !== "object") return part;
  if (part.$ === undefined) {
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, filled(value, gone)]));
  }
  const array = arrays.get(part.$);
  if (array === undefined) gone.push(part.$);
  else keep(part.$, array);
  return array;
}

// --- Selections of the page, one for each list of cells -------------------------------------------------------------

const isIn = (bits, row) => (bits[row >> 3] >> (7 - (row & 7))) & 1;

function adopt({ key, id, bits }) {
  const before = selections.get(key);
  if (before?.id === id) return;
  // The same object where nothing changes, so that no figure is drawn again.
  const same = before?.bits && bits && before.bits.every((byte, at) => byte === bits[at]);
  selections.set(key, { id, bits: same ? before.bits : bits });
  store(key, bits);
  for (const chart of charts) chart.highlight();
}

/** Keeps a selection over a reload; a browser may forbid it, or have no room. */
function store(key, bits) {
  try {
    if (bits === null) sessionStorage.removeItem(STORED + key);
    else sessionStorage.setItem(STORED + key, btoa(Array.from(bits, (byte) => String.fromCharCode(byte)).join("")));
  } catch {
    // the selection then ends with the page
  }
}

function stored(key) {
  try {
    return sessionStorage.getItem(STORED + key);
  } catch {
    return null;
  }
}

/** Shows drawn cells as selected until the server has found all cells inside the outline. */
function preview({ key, size, how }, rows) {
  const before = selections.get(key)?.bits ?? null;
  const bits = new Uint8Array(Math.ceil(size / 8));
  for (const row of rows) bits[row >> 3] |= 128 >> (row & 7);
  if (before !== null && how !== "new") {
    const combine = { add: (a, b) => a | b, keep: (a, b) => a & b, remove: (a, b) => a & ~b }[how];
    before.forEach((byte, at) => (bits[at] = combine(byte, bits[at])));
  }
  // All cells are shown as selected while none is.
  if (before === null && how === "remove") bits.forEach((byte, at) => (bits[at] = ~byte));
  selections.set(key, { id: "preview", bits: bits.some(Boolean) ? bits : null });
  for (const chart of charts) chart.highlight();
}

// --- Figures --------------------------------------------------------------------------------------------------------

class Chart {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.gestures = []; // not known to be taken
    this.lastStep = Promise.resolve();
    this.box = document.createElement("div");
    this.tooltip = document.createElement("div");
    root.style.position = "relative";
    root.append(this.box, this.tooltip);
    Object.assign(this.tooltip.style, {
      position: "absolute", display: "none", pointerEvents: "none", zIndex: 10, padding: "4px 8px", maxWidth: "22em",
      whiteSpace: "pre-line", overflowWrap: "anywhere", fontSize: "13px", lineHeight: "1.35", borderRadius: "4px",
      color: "var(--st-text-color)", background: "var(--st-background-color)", border: "1px solid var(--st-border-color)",
    });
    charts.add(this);
    this.observer = new ResizeObserver(() => this.drawn && this.box.offsetParent && this.resize());
    this.observer.observe(root);
  }

  async show(message) {
    try {
      await this.take(message);
    } catch (error) {
      this.box.textContent = `The figure cannot be drawn: ${error.message}. Reload the page.`;
      throw error;
    }
  }

  async take(message) {
    this.message = message;
    const header = await inTurn(message);
    if (this.message !== message || !charts.has(this)) return; // a later message came
    const gone = [];
    const figure = filled(header.figure, gone);
    const cells = filled(header.cells, gone);
    const chosen = filled(header.selection, gone);
    if (gone.length) {
      this.send("missing", gone);
      return;
    }
    this.pickable = header.pickable;
    const hidden = this.chosen?.only;
    this.cells = cells;
    this.chosen = chosen;
    this.view = figure.layout.uirevision;
    if (chosen) this.acknowledge(chosen.taken);
    if (chosen && !this.restore(chosen)) adopt(chosen);
    if (header.id !== this.id || this.isInOldColors()) await this.draw(header, figure);
    else this.highlight(hidden !== chosen?.only);
  }

  /** Whether the theme of the page has changed since the figure was drawn. */
  isInOldColors() {
    return this.drawn && this.text !== getComputedStyle(this.root).getPropertyValue("--st-text-color");
  }

  /** Sends the selection of before a reload; whether there was one. */
  restore({ key, fresh }) {
    if (restored.has(key)) return false;
    restored.add(key);
    const bits = fresh ? stored(key) : null;
    if (bits) this.send("restored", { key, bits });
    return Boolean(bits);
  }

  /** Sends gestures until the server has taken them: a page at work keeps only the latest that was sent. */
  gesture(what) {
    const number = Math.max(Date.now(), this.chosen.taken + 1, (this.gestures.at(-1)?.number ?? 0) + 1);
    this.gestures.push({ number, view: this.view, key: this.chosen.key, ...what });
    this.send("gestures", this.gestures);
  }

  acknowledge(taken) {
    this.gestures = this.gestures.filter(({ number }) => number > taken);
    if (this.gestures.length) this.send("gestures", this.gestures);
  }

  async draw(header, figure) {
    this.id = header.id;
    const Plotly = await plotly();
    if (this.id !== header.id || !charts.has(this)) return; // a later message came first
    this.width = this.root.clientWidth;
    this.redraw = () => this.draw(header, figure);
    const fitted = arranged(figure, this.width);
    const traces = fitted.data.map((trace) => (trace.top ? inDrawingOrder(trace) : trace));
    this.traces = traces.flatMap((trace) => (inSpace(trace) ? [trace, silhouette(trace)] : [trace]));
    [this.text, this.faint] = ["text", "border"].map((name) => getComputedStyle(this.root).getPropertyValue(`--st-${name}-color`));
    const ofCells = this.traces.some(hasCells);
    const layout = { ...fitted.layout, template: template(this.root), autosize: true };
    // With another configuration Plotly would start anew, without the zoom.
    this.config ??= {
      ...header.config, responsive: false, scrollZoom: ofCells,
      modeBarButtonsToRemove: this.cells ? [] : CELLS_ONLY,
    };
    const quiet = { hoverinfo: "none", hovertemplate: null }; // the tooltip says more
    const data = this.traces.map((trace) => (hasCells(trace) ? { ...trace, ...this.highlighted(trace), ...quiet } : trace));
    const { toImageButtonOptions } = this.config;
    if (this.drawn) Object.assign(this.box._context, { toImageButtonOptions });
    await this.step(() => Plotly.react(this.box, data, layout, this.config));
    if (!charts.has(this)) return;
    this.box._context.toImageButtonOptions = header.config.toImageButtonOptions;
    this.shown = this.bits();
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", header.alt);
    if (!this.drawn) this.listen();
    this.drawn = true;
  }

  /** One step of Plotly after the other, as each goes on in the background; none on a figure that was removed. */
  step(work) {
    const done = this.lastStep.then(() => (charts.has(this) ? work() : undefined));
    this.lastStep = done.catch(() => {});
    return done;
  }

  resize() {
    if (Math.abs(this.root.clientWidth - this.width) < 0.1 * this.width) {
      this.step(() => window.Plotly.Plots.resize(this.box)).catch(() => {}); // hidden meanwhile
      return;
    }
    this.drawn = false;
    this.step(() => window.Plotly.purge(this.box)); // or parts of a colour bar that changes sides would stay
    this.redraw();
  }

  listen() {
    this.box.addEventListener("mousedown", (event) => (this.shift = event.shiftKey), true);
    this.box.addEventListener("mousemove", (event) => (this.mouse = event), true);
    this.box.on("plotly_selected", (event) => event && this.select(event));
    this.box.on("plotly_deselect", () => this.cells && this.gesture({ how: "clear" }));
    this.box.on("plotly_legendclick", ({ data, curveNumber }) => this.selectGroup(data[curveNumber].name));
    this.box.on("plotly_click", ({ points }) => this.pickable && this.send("picked", points[0].customdata ?? null));
    this.box.on("plotly_hover", ({ points, event }) => this.describe(points[0], event ?? this.mouse));
    this.box.on("plotly_unhover", () => (this.tooltip.style.display = "none"));
  }

  select({ points, lassoPoints, range }) {
    const outline = lassoPoints ?? range;
    if (!this.cells || !outline) return;
    const how = this.how();
    preview({ ...this.chosen, how }, points.map(({ customdata }) => customdata).filter((row) => row !== undefined));
    this.step(() => window.Plotly.relayout(this.box, { selections: [] })); // the cells show the selection
    this.gesture({ how, [lassoPoints ? "lasso" : "box"]: Object.values(outline), axes: Object.keys(outline) });
  }

  /** Selects a group by its name as written in the figure. Returns false, which keeps the group visible. */
  selectGroup(name) {
    if (!this.cells?.clickable.includes(name)) return true;
    this.gesture({ how: this.how(), group: name });
    return false;
  }

  /** What an outline does: as chosen in the bar, or add with Shift. */
  how() {
    return this.shift ? "add" : this.chosen.how;
  }

  bits() {
    return this.chosen ? (selections.get(this.chosen.key)?.bits ?? null) : null;
  }

  highlight(changed = false) {
    if (!this.drawn || (this.shown === this.bits() && !changed)) return;
    this.shown = this.bits();
    const places = [...this.traces.keys()].filter((place) => hasCells(this.traces[place]));
    if (!places.length) return;
    const changes = places.map((place) => this.highlighted(this.traces[place]));
    const columns = Object.keys(changes[0]); // the same in all, as no figure has cells on two and on three axes
    const update = Object.fromEntries(columns.map((name) => [name, changes.map((change) => change[name])]));
    this.step(() => window.Plotly.restyle(this.box, update, places));
  }

  highlighted(trace) {
    const bits = this.bits();
    if (inSpace(trace)) return this.highlightedInSpace(trace, bits);
    const { customdata } = trace;
    if (bits === null) return { selectedpoints: null, selected: {}, unselected: {} };
    const chosen = [];
    customdata.forEach((row, place) => isIn(bits, row) && chosen.push(place));
    const rest = this.chosen.only ? { opacity: 0 } : { opacity: 0.5, color: this.faint };
    return { selectedpoints: chosen, selected: { marker: { opacity: 0.95 } }, unselected: { marker: rest } };
  }

  /** On three axes Plotly knows no selected points: each trace shows the selected cells and its silhouette the others. */
  highlightedInSpace({ x, customdata, isSilhouette }, bits) {
    if (bits === null) return { x, visible: !isSilhouette };
    const shown = x.map((at, place) => (Boolean(isIn(bits, customdata[place])) === Boolean(isSilhouette) ? NaN : at));
    return { x: shown, visible: !isSilhouette || !this.chosen.only };
  }

  describe(point, event) {
    const trace = this.traces[point.curveNumber];
    if (!hasCells(trace)) return;
    const row = trace.customdata[point.pointNumber];
    const values = { x: point.x, y: point.y, "marker.color": trace.marker.color?.[point.pointNumber] };
    const own = (trace.hovertemplate ?? "")
      .replace(/<extra>.*<\/extra>/, "")
      .replace(/%\{([a-z.]+)(?::[^}]*)?\}/g, (_, name) => String(Number(values[name]?.toPrecision?.(3))))
      .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(code))
      .split("<br>");
    const lines = new Set([...(this.cells ? aboutCell(this.cells, row) : []), ...own]);
    this.tooltip.textContent = [...lines].filter(Boolean).join("\n");
    const at = this.root.getBoundingClientRect();
    const [x, y] = [event.clientX - at.left, event.clientY - at.top];
    this.tooltip.style.display = "block";
    this.tooltip.style.left = `${x > at.width / 2 ? x - 12 - this.tooltip.offsetWidth : x + 12}px`;
    this.tooltip.style.top = `${y + 12}px`;
  }

  remove() {
    charts.delete(this);
    this.observer.disconnect();
    this.lastStep.then(() => window.Plotly?.purge(this.box));
    this.root.replaceChildren();
  }
}

const hasCells = (trace) => trace.cells === true;
const inSpace = (trace) => hasCells(trace) && trace.type === "scatter3d";

/** The cells of a trace on three axes that are not selected. */
function silhouette(trace) {
  const marker = { size: trace.marker.size, symbol: trace.marker.symbol, color: "#A8A8A8", opacity: 0.12 };
  return { ...trace, marker, isSilhouette: true, showlegend: false, hovertemplate: null };
}

/** A figure for a box of this width: names fit a small map, and a legend or colour bar stands below a narrow one. */
function arranged({ data, layout }, width) {
  const { meta, annotations, legend } = layout;
  const margin = { l: 80, r: 80, ...layout.margin }; // Plotly's own
  const isBelow = meta?.n_groups !== undefined && margin.r > MOST_BESIDE * width;
  const size = Math.min(1, (width - margin.l - (isBelow ? 0 : margin.r)) / LABELLED);
  const notes = annotations?.map((note) =>
    note.font?.shadow ? { ...note, font: { ...note.font, size: Math.max(9, size * note.font.size) } } : note,
  );
  if (!isBelow) return { data, layout: { ...layout, annotations: notes } };
  const entry = margin.r - 24;
  const rows = Math.ceil(meta.n_groups / Math.max(1, Math.floor((width - margin.l - 10) / entry)));
  const height = Math.min(Math.max(20 * rows + 10, 84), 184); // of a colour bar at least
  const below = { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0.5, xanchor: "center" };
  const bars = data.map((trace) => trace.marker?.colorbar).filter(Boolean);
  // Plotly would write the title of a horizontal colour bar over it.
  const titles = bars.map(({ title }) => ({
    text: title.text.replace(", ", ",<br>"), font: { size: 12 }, showarrow: false, xref: "paper", x: 0.5, yref: "paper", yanchor: "top",
    y: -(margin.b + 4) / (layout.height - margin.t - margin.b - height),
  }));
  const belowTitle = { yanchor: "top", y: (height - 42) / layout.height };
  const bar = (colorbar) => ({ ...colorbar, ...below, ...belowTitle, title: { text: "" }, len: 0.9, thickness: 10 });
  return {
    data: data.map((trace) => {
      if (!trace.marker?.colorbar) return trace;
      return { ...trace, marker: { ...trace.marker, colorbar: bar(trace.marker.colorbar) } };
    }),
    layout: {
      ...layout, annotations: [...(notes ?? []), ...titles.slice(0, 1)],
      margin: { ...margin, r: 10, b: margin.b + height },
      legend: { ...legend, ...below, maxheight: height, entrywidth: entry - 46, font: { size: 12 } },
    },
  };
}

/** Cells with values far from 0 last, so that silent cells do not cover the few expressing ones. */
function inDrawingOrder(trace) {
  const values = trace.marker.color;
  const order = Uint32Array.from(values.keys()).sort((a, b) => Math.abs(values[a]) - Math.abs(values[b]));
  const sorted = (part) =>
    Object.fromEntries(
      Object.entries(part).map(([name, value]) => [
        name,
        ArrayBuffer.isView(value) ? value.constructor.from(order, (place) => value[place]) : value,
      ]),
    );
  return { ...sorted(trace), marker: sorted(trace.marker) };
}

/** What is known of a cell beside the values of a figure. */
function aboutCell({ rows, names, codes, groups, columns }, row) {
  const place = rows ? indexOf(rows, row) : row;
  const words = [linesOf(names)[place], groups[codes[place]]];
  for (const { title, values } of columns) {
    if (Number.isFinite(values[place])) words.push(`${title} ${values[place].toFixed(2)}`);
  }
  return words;
}

const texts = new WeakMap();
function linesOf(bytes) {
  if (!texts.has(bytes)) texts.set(bytes, new TextDecoder().decode(bytes).split("\n"));
  return texts.get(bytes);
}

function indexOf(rows, row) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Fonts and lines in the colours of the page. */
function template(element) {
  const style = getComputedStyle(element);
  const [text, line, paper, font] = ["text-color", "border-color", "background-color", "font"].map((name) => style.getPropertyValue(`--st-${name}`));
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line, automargin: true, title: { standoff: 8, font: { size: 14 } } };
  return {
    layout: {
      font: { color: text, family: font }, xaxis: axis, yaxis: axis,
      scene: Object.fromEntries(["xaxis", "yaxis", "zaxis"].map((name) => [name, { linecolor: line, gridcolor: line, color: text }])),
      modebar: { color: text, activecolor: style.getPropertyValue("--st-primary-color"), bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: text, family: font } },
      newselection: { line: { color: text, width: 1, dash: "solid" } },
      colorway: ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"],
    },
  };
}
