// A small chart of one figure over time: a line above its area, the largest value as its scale, and a cursor shared by all.
// It has no axis of its own; what it shows is said in words too, for who cannot see it.

import { draw, make } from './element.js';

const WIDTH = 240;
const HEIGHT = 44;
/** A gap is drawn where samples are further apart. */
const GAP_MS = 4000;

/** The runs of samples that belong together, as points of the drawing. */
function runs(points, scale, from, span) {
  const all = [];
  let run = null;
  let before = null;
  for (const [time, value] of points) {
    const breaks = value === null || (before !== null && time - before > GAP_MS);
    if (breaks) run = null;
    before = time;
    if (value === null || time < from - GAP_MS) continue;
    if (!run) all.push((run = []));
    const x = ((time - from) / span) * WIDTH;
    run.push([x, HEIGHT - 1 - (Math.min(value, scale) / scale) * (HEIGHT - 4)]);
  }
  return all;
}

const place = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** A chart; `format` writes a value. */
export class Chart {
  constructor(label, format, missing) {
    this.label = label;
    this.format = format;
    this.missing = missing;
    this.value = make('span', { class: 'value' }, '–');
    this.note = make('span', { class: 'note' });
    this.area = draw('path', { class: 'area' });
    this.line = draw('path', { class: 'line' });
    this.mark = draw('path', { class: 'cursor' });
    this.dot = draw('path', { class: 'dot' });
    this.picture = draw(
      'svg',
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
      this.area,
      this.line,
      this.mark,
      this.dot,
    );
    this.root = make(
      'div',
      { class: 'chart' },
      make('span', { class: 'label' }, label),
      make('span', { class: 'figures' }, this.value, this.note),
      this.picture,
    );
  }

  /** Draws points, each a time and a value or null, as they are between two times; `cursor` is a time or null. */
  show(points, from, to, cursor) {
    const inside = points.filter(([time, value]) => time >= from && value !== null);
    const finite = inside.filter(([, value]) => Number.isFinite(value));
    const most = finite.reduce((max, [, value]) => Math.max(max, value), 0);
    // With some air above the largest.
    const all = runs(points, most * 1.15 || 1, from, to - from);
    this.line.setAttribute('d', all.map((run) => `M${run.map(place).join('L')}`).join(''));
    const areas = all.map((run) => `M${run[0][0].toFixed(1)} ${HEIGHT}L${run.map(place).join('L')}L${run.at(-1)[0].toFixed(1)} ${HEIGHT}Z`);
    this.area.setAttribute('d', areas.join(''));
    const at = cursor === null ? points.at(-1) : nearest(points, cursor);
    const x = cursor === null ? null : ((at[0] - from) / (to - from)) * WIDTH;
    this.mark.setAttribute('d', x === null || x < 0 ? '' : `M${x.toFixed(1)} 0V${HEIGHT}`);
    const text = this.format(at?.[1] ?? null);
    this.value.textContent = text;
    const isEmpty = inside.length === 0;
    this.root.classList.toggle('lacks', isEmpty);
    const note = isEmpty ? (this.missing ?? '') : `max ${this.format(most)}`;
    if (this.note.textContent !== note) this.note.textContent = note;
    this.says = isEmpty ? `${this.label}: ${this.missing ?? 'nothing yet'}` : `${this.label}: ${text}, at most ${this.format(most)}`;
  }

  /** Puts into words what is drawn; not at every sample, or a screen reader would never be silent. */
  describe() {
    if (this.picture.getAttribute('aria-label') !== this.says) this.picture.setAttribute('aria-label', this.says);
  }
}

/** The point next to a time. */
export function nearest(points, time) {
  return points.reduce((best, point) => (Math.abs(point[0] - time) < Math.abs(best[0] - time) ? point : best), points[0] ?? [time, null]);
}
