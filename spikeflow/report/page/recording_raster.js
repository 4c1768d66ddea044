// A sensor of one row: every event a mark over time and channel, and beside it the events of each channel.
if (data.line) {
  const canvas = document.getElementById("raster-canvas"), LEFT = 56, TOP = 8, BOTTOM = 40, SIDE = 70;
  const of = { on: new Uint32Array(data.width), off: new Uint32Array(data.width) };
  for (let i = 0; i < points.x.length; i++) of[points.p[i] ? "on" : "off"][points.x[i]]++;
  let most = 1;
  for (let c = 0; c < data.width; c++) most = Math.max(most, of.on[c] + of.off[c]);

  drawings.push(() => {
    const { pen, width, height } = prepared(canvas);
    const right = width - SIDE - 14, bottom = height - BOTTOM, row = (bottom - TOP) / data.width;
    const yOf = (channel) => bottom - row * (channel + 1);
    const tall = Math.max(1.5, row * 0.9), wide = points.x.length > 30000 ? 1 : 1.6;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [at, text] of marks(data.width - 1, (bottom - TOP) / 60)) {
      if (at % 1) continue;
      const y = Math.round(yOf(at) + row / 2) + 0.5;
      pen.strokeStyle = colour.line;
      line(pen, LEFT, y, width, y);
      pen.fillStyle = colour.quiet;
      pen.fillText(text, LEFT - 8, y);
    }
    for (const [name, sign] of [["off", 0], ["on", 1]]) {
      pen.fillStyle = colour[name];
      for (let i = 0; i < points.x.length; i++) {
        if (points.p[i] !== sign) continue;
        const x = LEFT + ((right - LEFT) * points.t[i] * data.points.tick) / span;
        pen.fillRect(x - wide / 2, yOf(points.x[i]) + (row - tall) / 2, wide, tall);
      }
    }
    for (let c = 0; c < data.width; c++) {
      const on = (SIDE * of.on[c]) / most, off = (SIDE * of.off[c]) / most;
      pen.fillStyle = colour.on;
      pen.fillRect(width - SIDE, yOf(c), on, Math.max(1, row));
      pen.fillStyle = colour.off;
      pen.fillRect(width - SIDE + on, yOf(c), off, Math.max(1, row));
    }
    timeAxis(pen, LEFT, right, bottom);
  });
}
