// What is shared: the data, colours, canvases, and the moment that all pictures show.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}

const span = data.steps * data.dt;  // microseconds
const rate = { on: new Float64Array(bytes(data.on)), off: new Float64Array(bytes(data.off)) };
const points = {
  t: new Uint32Array(bytes(data.points.t)),  // in ticks of data.points.tick microseconds
  x: new Uint16Array(bytes(data.points.x)),
  y: new Uint16Array(bytes(data.points.y)),
  p: new Uint8Array(bytes(data.points.p)),
};

// --- words ---

const UNIT = span >= 2e6 ? [1e6, "s"] : span >= 2e3 ? [1e3, "ms"] : [1, "µs"];

function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((digit) => digit * power >= value * (1 - 1e-9)) || 10);
}

function digits(value, apart) {
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(apart) + 1e-9)));
}

function moment(us) {
  return `${digits(us / UNIT[0], data.dt / UNIT[0])} ${UNIT[1]}`;
}

function marks(length, most) {
  const apart = roundUp(Math.max(length, 1e-9) / most), out = [];
  for (let k = 0; k * apart <= length * (1 + 1e-9); k++) out.push([k * apart, digits(k * apart, apart)]);
  return out;
}

function short(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (value >= size) return `${+(value / size).toPrecision(3)} ${letter}`;
  return `${+value.toPrecision(3)}`;
}

// --- colours ---

let colour = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "quiet", "line", "paper", "accent", "on", "off", "box"])
    colour[name] = style.getPropertyValue(`--${name}`).trim();
  colour.rgb = {};
  for (const name of ["paper", "on", "off"]) {
    const hex = colour[name].length === 4 ? colour[name].replace(/[0-9a-f]/gi, "$&$&") : colour[name];
    colour.rgb[name] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }
}

// --- canvases ---

// the canvas at the resolution of this screen; further drawing counts in CSS pixels
function prepared(canvas) {
  const sharp = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  const [across, down] = [Math.max(1, Math.round(width * sharp)), Math.max(1, Math.round(height * sharp))];
  if (canvas.width !== across || canvas.height !== down) { canvas.width = across; canvas.height = down; }
  const pen = canvas.getContext("2d");
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.fillStyle = colour.paper;
  pen.fillRect(0, 0, width, height);
  pen.font = `12px ${getComputedStyle(document.body).getPropertyValue("--data")}`;
  pen.lineWidth = 1;
  return { pen, width, height, sharp };
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

// time axis along the bottom of a plot that lies between left and right
function timeAxis(pen, left, right, bottom) {
  pen.fillStyle = colour.quiet;
  pen.strokeStyle = colour.line;
  pen.textBaseline = "top";
  line(pen, left, bottom + 0.5, right, bottom + 0.5);
  for (const [at, text] of marks(span / UNIT[0], (right - left) / 90)) {
    const x = left + ((right - left) * at * UNIT[0]) / span;
    line(pen, x, bottom, x, bottom + 4);
    pen.textAlign = at === 0 ? "left" : x > right - 16 ? "right" : "center";
    pen.fillText(text, x, bottom + 7);
  }
  pen.textAlign = "right";
  pen.fillText(`time, ${UNIT[1]}`, right, bottom + 22);
}

// --- the moment ---

const now = { step: 0, window: 1, playing: false };
const drawings = [];  // each a function that draws one picture anew
let asked = false;

function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; for (const draw of drawings) draw(); });
}

function go(step) {
  now.step = Math.max(0, Math.min(data.steps - 1, step));
  redraw();
}

// a marked moment on a time axis
function playhead(pen, left, right, top, bottom) {
  if (data.line) return;
  const x0 = left + ((right - left) * now.step) / data.steps;
  const x1 = left + ((right - left) * Math.min(data.steps, now.step + now.window)) / data.steps;
  pen.fillStyle = colour.ink;
  pen.globalAlpha = 0.12;
  pen.fillRect(x0, top, Math.max(x1 - x0, 1), bottom - top);
  pen.globalAlpha = 1;
  pen.fillRect(x0, top, 1.5, bottom - top);
}
