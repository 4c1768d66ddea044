// Rate over time: on and off events of the whole sensor. A click goes to the moment.
{
  const canvas = document.getElementById("rate-canvas"), LEFT = 56, RIGHT = data.line ? 84 : 6, TOP = 8, BOTTOM = 40;
  const perSecond = 1e6 / data.dt;
  const peak = (counts) => counts.reduce((most, count) => Math.max(most, count), 0) * perSecond;
  const [up, down] = [peak(rate.on), peak(rate.off)];

  function trace(pen, counts, name, xOf, yOf) {
    pen.beginPath();
    pen.moveTo(xOf(0), yOf(0));
    for (let k = 0; k < data.steps; k++) {
      pen.lineTo(xOf(k), yOf(counts[k] * perSecond));
      pen.lineTo(xOf(k + 1), yOf(counts[k] * perSecond));
    }
    pen.lineTo(xOf(data.steps), yOf(0));
    pen.fillStyle = colour[name];
    pen.globalAlpha = 0.8;
    pen.fill();
    pen.globalAlpha = 1;
  }

  // on above the middle line, off below it
  drawings.push(() => {
    const { pen, width, height } = prepared(canvas);
    const right = width - RIGHT, bottom = height - BOTTOM, apart = roundUp((up + down) / 4);
    const [top, low] = [1.03 * up, 1.03 * down];
    const xOf = (k) => LEFT + ((right - LEFT) * k) / data.steps;
    const yOf = (value) => TOP + ((bottom - TOP) * (top - value)) / (top + low);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (let k = -Math.floor(low / apart); k * apart <= top; k++) {
      const value = k * apart;
      const y = Math.round(yOf(value)) + 0.5;
      pen.strokeStyle = colour.line;
      line(pen, LEFT, y, right, y);
      pen.fillStyle = colour.quiet;
      pen.fillText(short(Math.abs(value)), LEFT - 8, y);
    }
    trace(pen, rate.on, "on", xOf, yOf);
    trace(pen, rate.off, "off", xOf, (value) => yOf(-value));
    playhead(pen, LEFT, right, TOP, bottom);
    timeAxis(pen, LEFT, right, bottom);
  });

  function seek(event) {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    go(Math.floor(share * data.steps));
  }
  if (!data.line) {
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); seek(event); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
  }
}
