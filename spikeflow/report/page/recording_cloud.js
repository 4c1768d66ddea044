// Events as points over x, y and time: turned by dragging or by the arrow keys, nearer points over farther ones.
if (!data.line) {
  const canvas = document.getElementById("cloud-canvas");
  const VIEWS = { tilted: [0.62, 0.36], side: [0, 0], above: [0, Math.PI / 2], front: [Math.PI / 2, 0] };
  const EYE = 4.2, SHADES = 24, LONG = 2.1;  // distance of the eye; shades of depth; length of the time axis
  const view = { yaw: VIEWS.tilted[0], pitch: VIEWS.tilted[1], zoom: 1 };
  const size = Math.max(data.width, data.height), count = points.t.length;
  const half = [LONG / 2, data.height / size / 2, data.width / size / 2];  // of the box: time, y, x
  const place = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    place[3 * i] = ((points.t[i] * data.points.tick) / span - 0.5) * LONG;
    place[3 * i + 1] = (points.y[i] + 0.5 - data.height / 2) / size;
    place[3 * i + 2] = (points.x[i] + 0.5 - data.width / 2) / size;
  }
  const layer = document.createElement("canvas");
  let depths = new Float32Array(0);

  // time to the right, y down, x towards the eye; then turned; then as large as the whole box allows
  function turning(width, height) {
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    const turned = (t, y, x) => {
      const across = t * cy + x * sy, away = x * cy - t * sy;
      const down = y * cp + away * sp, near = away * cp - y * sp;
      return [(across * EYE) / (EYE - near), (down * EYE) / (EYE - near), near];
    };
    const corners = edges(0).flat().map((corner) => turned(...corner));
    const reach = [0, 1].map((k) => [Math.min(...corners.map((c) => c[k])), Math.max(...corners.map((c) => c[k]))]);
    const [wide, tall] = reach.map(([low, high]) => high - low), [left, right] = [46, 30], [top, bottom] = [18, 44];
    const scale = Math.min((width - left - right) / wide, (height - top - bottom) / tall) * view.zoom;
    const [across, down] = [(width + left - right) / 2, (height + top - bottom) / 2];
    const middle = reach.map(([low, high]) => (low + high) / 2);
    return (t, y, x) => {
      const [u, v, near] = turned(t, y, x);
      return [across + (u - middle[0]) * scale, down + (v - middle[1]) * scale, near];
    };
  }

  function shades(name) {
    return Uint32Array.from({ length: SHADES }, (_, k) => {
      const share = 0.28 + (0.72 * k) / (SHADES - 1);
      const [r, g, b] = colour.rgb[name].map((c, i) => Math.round(c * share + colour.rgb.paper[i] * (1 - share)));
      return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
  }

  // the points on a sheet of their own, which stays as long as only the moment changes
  let drawnAs = "";
  function cloud(pen, sharp, at) {
    const { width, height } = canvas;
    const as = [width, height, sharp, view.yaw, view.pitch, view.zoom, colour.on, colour.paper].join(" ");
    if (as !== drawnAs) points3d(width, height, sharp, at);
    drawnAs = as;
    pen.drawImage(layer, 0, 0, width / sharp, height / sharp);
  }

  function points3d(width, height, sharp, at) {
    layer.width = width;
    layer.height = height;
    const sheet = layer.getContext("2d"), image = sheet.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer), table = [shades("off"), shades("on")], reach = Math.hypot(...half);
    const wide = Math.max(1, Math.round((count < 3000 ? 2.6 : count < 40000 ? 1.7 : 1.25) * sharp * Math.sqrt(view.zoom)));
    if (depths.length !== out.length) depths = new Float32Array(out.length);
    depths.fill(-Infinity);
    for (let i = 0; i < count; i++) {
      const [across, down, near] = at(place[3 * i], place[3 * i + 1], place[3 * i + 2]);
      const left = Math.round(across * sharp - wide / 2), top = Math.round(down * sharp - wide / 2);
      if (left < 0 || top < 0 || left + wide > width || top + wide > height) continue;
      const shade = Math.min(SHADES - 1, Math.max(0, Math.floor(((near + reach) / (2 * reach)) * SHADES)));
      const painted = table[points.p[i]][shade];
      for (let y = top; y < top + wide; y++)
        for (let k = y * width + left; k < y * width + left + wide; k++)
          if (depths[k] < near) { depths[k] = near; out[k] = painted; }
    }
    sheet.putImageData(image, 0, 0);
  }

  // the four edges of the box along one axis (0 time, 1 y, 2 x), as pairs of corners
  function edges(axis) {
    const [a, b] = [0, 1, 2].filter((k) => k !== axis);
    return [[-1, -1], [-1, 1], [1, -1], [1, 1]].map(([u, v]) => [-1, 1].map((end) => {
      const corner = [0, 0, 0];
      corner[axis] = end * half[axis]; corner[a] = u * half[a]; corner[b] = v * half[b];
      return corner;
    }));
  }

  // the edge whose middle lies farthest down (time, x) or farthest left (y) carries the axis
  function carrier(axis, at) {
    const where = (edge) => {
      const [p, q] = edge.map((corner) => at(...corner));
      return axis === 1 ? -(p[0] + q[0]) : p[1] + q[1];
    };
    return edges(axis).reduce((best, edge) => (where(edge) > where(best) + 1e-6 ? edge : best));
  }

  function axis(pen, number, at, texts, name) {
    const [begin, end] = carrier(number, at), centre = at(0, 0, 0);
    const [p, q] = [at(...begin), at(...end)];
    if (Math.hypot(p[0] - q[0], p[1] - q[1]) < 30) return;  // seen from its end
    const middle = [(p[0] + q[0]) / 2 - centre[0], (p[1] + q[1]) / 2 - centre[1]];
    let out = [-(q[1] - p[1]), q[0] - p[0]];
    const length = Math.hypot(...out), sign = out[0] * middle[0] + out[1] * middle[1] < 0 ? -1 : 1;
    out = out.map((v) => (sign * v) / length);
    const write = (text, share, far) => {
      const [x, y] = at(...begin.map((b, k) => b + (end[k] - b) * share));
      pen.textAlign = out[0] < -0.25 ? "right" : out[0] > 0.25 ? "left" : "center";
      pen.textBaseline = "middle";
      pen.lineWidth = 3;
      pen.strokeStyle = colour.paper;
      pen.strokeText(text, x + out[0] * far, y + out[1] * far);
      pen.fillText(text, x + out[0] * far, y + out[1] * far);
    };
    pen.fillStyle = colour.quiet;
    for (const [share, text] of texts) write(text, share, 13);
    pen.fillStyle = colour.ink;
    write(name, 0.5, number === 1 ? 26 : 35);
    pen.lineWidth = 1;
  }

  // the moment that the frame beside it shows
  function slab(pen, at) {
    pen.strokeStyle = colour.ink;
    for (const [step, strength] of [[Math.min(data.steps, now.step + now.window), 0.35], [now.step, 1]]) {
      const t = (step / data.steps - 0.5) * LONG;
      pen.beginPath();
      for (const [v, u] of [[-1, -1], [-1, 1], [1, 1], [1, -1]]) {
        const [x, y] = at(t, v * half[1], u * half[2]);
        pen.lineTo(x, y);
      }
      pen.closePath();
      pen.globalAlpha = strength;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  drawings.push(() => {
    const { pen, width, height, sharp } = prepared(canvas), at = turning(width, height);
    pen.strokeStyle = colour.box;
    pen.globalAlpha = 0.75;
    for (const edge of [0, 1, 2].flatMap(edges)) {
      const [p, q] = edge.map((corner) => at(...corner));
      line(pen, p[0], p[1], q[0], q[1]);
    }
    pen.globalAlpha = 1;
    cloud(pen, sharp, at);
    slab(pen, at);
    const times = marks(span / UNIT[0], width < 500 ? 4 : 8);
    axis(pen, 0, at, times.map(([v, text]) => [(v * UNIT[0]) / span, text]), `time, ${UNIT[1]}`);
    axis(pen, 1, at, [[0.02, "0"], [0.96, `${data.height}`]], "y");
    axis(pen, 2, at, [[0.05, "0"], [0.95, `${data.width}`]], "x");
  });

  function turn(yaw, pitch) {
    view.yaw = (view.yaw + yaw) % (2 * Math.PI);
    view.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, view.pitch + pitch));
    redraw();
  }
  function zoom(factor) {
    view.zoom = Math.max(0.5, Math.min(12, view.zoom * factor));
    redraw();
  }
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || !event.buttons) return;
    turn((event.clientX - last[0]) * 0.008, (event.clientY - last[1]) * 0.008);
    last = [event.clientX, event.clientY];
  });
  canvas.addEventListener("keydown", (event) => {
    const turned = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    const zoomed = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(turned || zoomed)) return;
    event.preventDefault();
    if (turned) turn(...turned); else zoom(zoomed);
  });
  // a wheel over the picture scrolls the page; with Ctrl it comes closer, as a pinch on a touch pad does
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.005));
  }, { passive: false });
  for (const button of document.querySelectorAll("[data-view]"))
    button.addEventListener("click", () => {
      [view.yaw, view.pitch] = VIEWS[button.dataset.view];
      view.zoom = 1;
      redraw();
    });
  for (const button of document.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => zoom(+button.dataset.zoom));
}
