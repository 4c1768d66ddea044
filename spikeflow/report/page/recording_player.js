// Frames: the events of one window at each pixel, played, stepped or dragged through.
if (!data.line) {
  const canvas = document.getElementById("frame-canvas"), by = (id) => document.getElementById(id);
  const size = data.frames.width * data.frames.height;
  const frames = unpacked();

  // gaps between keys, 7 bits a byte, low ones first; a key is step * size + cell
  function unpacked() {
    const gaps = new Uint8Array(bytes(data.frames.gaps)), counts = new Uint8Array(bytes(data.frames.counts));
    const cell = new Uint32Array(counts.length / 2), begin = new Uint32Array(data.steps + 1);
    let key = 0, at = 0;
    for (let i = 0; i < cell.length; i++) {
      let place = 1;
      for (;; place *= 128) {
        const byte = gaps[at++];
        key += (byte & 127) * place;
        if (byte < 128) break;
      }
      const step = Math.floor(key / size);
      cell[i] = key - step * size;
      begin[step + 1] = i + 1;
    }
    for (let k = 0; k < data.steps; k++) begin[k + 1] = Math.max(begin[k + 1], begin[k]);
    return { cell, counts, begin };
  }

  // counts of a window, `shrunk` by `shrunk` cells as one, so that a picture smaller than the sensor loses none
  function summed(step, window, shrunk) {
    const width = Math.ceil(data.frames.width / shrunk), height = Math.ceil(data.frames.height / shrunk);
    const on = new Uint32Array(width * height), off = new Uint32Array(width * height);
    const last = frames.begin[Math.min(data.steps, step + window)];
    for (let i = frames.begin[step]; i < last; i++) {
      const row = Math.floor(frames.cell[i] / data.frames.width), column = frames.cell[i] - row * data.frames.width;
      const at = Math.floor(row / shrunk) * width + Math.floor(column / shrunk);
      on[at] += frames.counts[2 * i];
      off[at] += frames.counts[2 * i + 1];
    }
    return { width, height, on, off };
  }

  // the count that gets the full colour: few cells of some frames have more
  const levels = new Map();
  function level(window, shrunk) {
    const name = `${window} ${shrunk}`;
    if (!levels.has(name)) {
      const found = [], apart = Math.max(1, Math.floor(data.steps / 12));
      for (let step = 0; step < data.steps; step += apart) {
        const { on, off } = summed(step, window, shrunk);
        for (let k = 0; k < on.length; k++) if (on[k] + off[k]) found.push(on[k] + off[k]);
      }
      found.sort((a, b) => a - b);
      levels.set(name, Math.max(1, found[Math.floor(found.length * 0.97)] || 1));
    }
    return levels.get(name);
  }

  function paint() {
    const room = canvas.parentElement.clientWidth * (window.devicePixelRatio || 1);
    const shrunk = Math.max(1, Math.ceil((0.95 * data.frames.width) / room));
    const { width, height, on, off } = summed(now.step, now.window, shrunk), most = level(now.window, shrunk);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width; canvas.height = height;
      canvas.style.aspectRatio = `${width} / ${height}`;
      canvas.style.width = `min(100%, calc(26rem * ${width / height}))`;
    }
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    const { paper, on: onRgb, off: offRgb } = colour.rgb;
    // how strong the colour is tells how many events there were, its hue how many of them were on
    for (let k = 0; k < on.length; k++) {
      const all = on[k] + off[k], hue = all ? on[k] / all : 0;
      const strength = all ? 0.45 + 0.55 * Math.min(1, all / most) : 0;
      for (let c = 0; c < 3; c++)
        image.data[4 * k + c] = paper[c] + strength * (hue * onRgb[c] + (1 - hue) * offRgb[c] - paper[c]);
      image.data[4 * k + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }

  function tell() {
    const stop = Math.min(data.steps, now.step + now.window);
    let on = 0, off = 0;
    for (let k = now.step; k < stop; k++) { on += rate.on[k]; off += rate.off[k]; }
    const position = by("position");
    if (+position.value !== now.step) position.value = now.step;
    const text = `${moment(now.step * data.dt)} to ${moment(stop * data.dt)}`;
    position.setAttribute("aria-valuetext", text);
    by("readout").textContent =
      `Frame ${now.step + 1} of ${data.steps}, ${text}: ${on.toLocaleString("en")} on, ${off.toLocaleString("en")} off`;
    canvas.dataset.step = now.step;
  }

  drawings.push(() => { paint(); tell(); });

  // --- playing ---

  let position = 0, before = 0;
  function run(time) {
    if (!now.playing) return;
    position += ((time - before) * 1e3 * +by("speed").value) / data.dt;
    before = time;
    if (position >= data.steps) position %= data.steps;
    if (Math.floor(position) !== now.step) go(Math.floor(position));
    requestAnimationFrame(run);
  }

  function play(on) {
    now.playing = on;
    by("play").textContent = on ? "Pause" : "Play";
    by("play").setAttribute("aria-pressed", on);
    if (!on) return;
    position = now.step + now.window >= data.steps ? 0 : now.step;
    before = performance.now();
    requestAnimationFrame(run);
  }

  function pick(step) { position = step; go(step); }

  const FACTORS = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0001];
  const usual = FACTORS.find((f) => span / f >= 4e6) || FACTORS[FACTORS.length - 1];  // a run of some seconds
  for (const factor of FACTORS) {
    const text = factor === 1 ? "real time" : factor > 1 ? `${factor}×` : `1/${Math.round(1 / factor)}`;
    by("speed").add(new Option(text, factor, factor === usual, factor === usual));
  }
  for (const steps of [1, 2, 5, 10, 20, 50]) {
    if (steps > Math.max(1, data.steps)) break;
    if (steps <= data.window) now.window = steps;
    by("window").add(new Option(moment(steps * data.dt), steps));
  }
  by("window").value = now.window;

  by("play").addEventListener("click", () => play(!now.playing));
  by("back").addEventListener("click", () => { play(false); pick(now.step - 1); });
  by("forward").addEventListener("click", () => { play(false); pick(now.step + 1); });
  by("position").addEventListener("input", () => { pick(+by("position").value); });
  by("window").addEventListener("change", () => { now.window = +by("window").value; redraw(); });
  by("rate-canvas").addEventListener("pointerdown", () => play(false));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moved = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -data.steps, End: data.steps }[event.key];
    if (event.key === " ") play(!now.playing);
    else if (moved) { play(false); pick(now.step + moved); }
    else return;
    event.preventDefault();
  });
  // begin where most happens: the first frames of many recordings are all but empty
  for (let k = 0, most = -1; k < data.steps; k++)
    if (rate.on[k] + rate.off[k] > most) { most = rate.on[k] + rate.off[k]; now.step = k; }
}

addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });
readColours();
for (const draw of drawings) draw();
document.body.dataset.drawn = drawings.length;
