/** The plots of these benchmarks, as SVG that needs nothing else. */
const COLOURS = ['#3b6ea5', '#a5563b', '#4d8a57']
const svg = (width, height, title, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="13">
<title>${title}</title>
${parts.join('\n')}
</svg>
`

/** One bar a row: [{ name, value }]. */
export function bars(title, rows, unit, full) {
  const width = (value) => Math.max(1, Math.round((360 * value) / full))
  return svg(
    760,
    24 * rows.length + 40,
    title,
    rows.map(
      ({ name, value }, i) =>
        `<text x="330" y="${24 * i + 36}" text-anchor="end">${name}</text><rect x="340" y="${24 * i + 24}" width="${width(value)}" height="16" fill="${COLOURS[0]}"/><text x="${346 + width(value)}" y="${24 * i + 36}">${value.toFixed(2)} ${unit}</text>`,
    ),
  )
}

const [PANEL, HIGH, LEFT, TOP] = [300, 220, 52, 44]

/** Panels beside each other: [{ title, x, lines: [{ name, points: [[x, y]…] }] }], x in doublings, y from zero. */
export function panels(title, all, y) {
  return svg(
    all.length * (PANEL + 70) + 20,
    HIGH + TOP + 70,
    title,
    all.flatMap((panel, n) => drawn(panel, n * (PANEL + 70) + LEFT, n === 0 ? y : '')),
  )
}

function drawn({ title, x: axis, lines }, left, y) {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b)
  const top = Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value)), Number.MIN_VALUE) * 1.1
  const [low, high] = [Math.log2(xs[0]), Math.log2(xs.at(-1))]
  const across = (x) => Math.round(left + (PANEL * (Math.log2(x) - low)) / Math.max(high - low, 1))
  const down = (value) => Math.round(TOP + HIGH - (HIGH * value) / top)
  const step = 10 ** Math.floor(Math.log10(top)) / (top / 10 ** Math.floor(Math.log10(top)) < 2.5 ? 2 : 1)
  const marks = Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step)
  return [
    `<text x="${left}" y="${TOP - 24}" font-weight="bold">${title}</text>`,
    `<text x="${left}" y="${TOP - 8}" fill="#666">${y}</text>`,
    ...marks.map(
      (value) =>
        `<line x1="${left}" x2="${left + PANEL}" y1="${down(value)}" y2="${down(value)}" stroke="#ddd"/><text x="${left - 6}" y="${down(value) + 4}" text-anchor="end" fill="#666">${Number(value.toPrecision(3))}</text>`,
    ),
    ...xs.map(
      (x) =>
        `<text x="${across(x)}" y="${TOP + HIGH + 18}" text-anchor="middle" fill="#666">${x.toLocaleString('en')}</text>`,
    ),
    `<text x="${left + PANEL / 2}" y="${TOP + HIGH + 36}" text-anchor="middle" fill="#666">${axis}</text>`,
    ...lines.flatMap(({ name, points }, i) => [
      `<polyline fill="none" stroke="${COLOURS[i]}" stroke-width="2" points="${points.map(([x, value]) => `${across(x)},${down(value)}`).join(' ')}"/>`,
      ...points.map(([x, value]) => `<circle cx="${across(x)}" cy="${down(value)}" r="3" fill="${COLOURS[i]}"/>`),
      `<text x="${left + PANEL}" y="${TOP - 24 + 15 * i}" text-anchor="end" fill="${COLOURS[i]}">${name}</text>`,
    ]),
  ]
}
