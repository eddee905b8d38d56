// Charts: each element with data-chart says what it shows as JSON; colours are those of the theme.
(() => {
  "use strict";
  const drawn = new WeakMap();
  const colour = (tone) => getComputedStyle(document.documentElement).getPropertyValue("--" + tone).trim();

  const short = (value) => {
    if (value === null || value === undefined) return "–";
    const units = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (const [size, unit] of units) if (Math.abs(value) >= size) return +(value / size).toFixed(1) + unit;
    return String(+value.toFixed(2));
  };
  const milliseconds = (value) => {
    if (value === null || value === undefined) return "–";
    if (value < 1000) return Math.round(value) + " ms";
    if (value < 120000) return +(value / 1000).toFixed(1) + " s";
    return value < 7200000 ? Math.round(value / 60000) + " min" : +(value / 3600000).toFixed(1) + " h";
  };
  const written = (unit) => (unit === "ms" ? milliseconds : unit === "s" ? (v) => milliseconds(v === null ? v : v * 1000) : short);

  // Marks on the axis of time, by the distance of two: how they are written, and what is added at a new year or day.
  const clock = [[86400, "{MM}-{DD}", "\n{YYYY}"], [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}"], [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}"]]
    .map((one) => [...one, ...Array(8 - one.length).fill(null), 1]);
  // Whether some value has none beside it, so that no line would show it.
  const alone = (values) => values.some((one, at) => one !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null);

  const options = (spec, width) => {
    const zone = document.body.dataset.zone === "browser" ? undefined : document.body.dataset.zoneName || "UTC";
    const write = written(spec.unit);
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("soft"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    return {
      width, height: 190,
      tzDate: zone ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone) : undefined,
      scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1] } },
      axes: [{ ...axis, values: clock }, { ...axis, size: 62, values: (_, ticks) => ticks.map(write) }],
      series: [{ label: spec.time ?? "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...spec.series.map((one) => ({
        label: one.label, stroke: colour(one.tone), width: spec.kind === "bars" ? 0 : 2,
        fill: spec.kind === "bars" ? colour(one.tone) : undefined, points: { size: 5, show: (plot, at) => spec.kind === "dots" || (spec.kind === "line" && alone(plot.data[at])) },
        paths: spec.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 60] }) : spec.kind === "dots" ? () => null : uPlot.paths.linear(),
        value: (_, raw) => write(raw), spanGaps: false,
      }))],
      cursor: { y: false },
    };
  };

  const draw = (element) => {
    const text = element.dataset.chart;
    const known = drawn.get(element);
    if (known && known.text === text && element.firstChild) return;
    const spec = JSON.parse(text);
    const data = [spec.x, ...spec.series.map((one) => one.values)];
    if (known && known.shape === shape(spec) && element.firstChild) {
      known.plot.setData(data);
      known.text = text;
      return;
    }
    if (known) known.plot.destroy();
    element.replaceChildren();
    const plot = new uPlot(options(spec, element.clientWidth || 400), data, element);
    drawn.set(element, { plot, text, shape: shape(spec) });
  };
  const shape = (spec) => spec.kind + spec.series.map((one) => one.label + one.tone).join();

  const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
  const redraw = () => document.querySelectorAll("[data-chart]").forEach((element) => {
    const known = drawn.get(element);
    if (known) { known.plot.destroy(); drawn.delete(element); element.replaceChildren(); }
    draw(element);
  });
  document.addEventListener("DOMContentLoaded", all);
  document.addEventListener("htmx:after:swap", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => document.querySelectorAll("[data-chart]").forEach((element) => {
      const known = drawn.get(element);
      if (known) known.plot.setSize({ width: element.clientWidth, height: 190 });
    }), 120);
  });
})();
