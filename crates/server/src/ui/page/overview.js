// The overview: the server in a line, then a row for each engine with what it holds and five charts over the same time.
// Pointing at a chart, or the arrow keys in a row, move one cursor through all of them.

import { announce, button, make } from './element.js';
import { Chart, nearest } from './chart.js';
import { ENGINES } from './engines.js';
import { atMost, bytes, clock, count, rate, uptime } from './format.js';
import { KEPT_MS, pulse } from './pulse.js';

const FIGURES = [
  ['operations', 'Requests/s', rate],
  ['p99', 'p99, 10 s', atMost],
  ['queued', 'Waiting', count],
  ['memory', 'Memory', bytes],
  ['disk', 'Disk', bytes],
];
const SPANS = [['1 min', 60_000], ['5 min', 5 * 60_000], ['15 min', KEPT_MS]];
/** Samples between two descriptions in words. */
const DESCRIBE_EVERY = 5;
const STATES = { ready: 'ready', absent: 'off', recovering: 'recovering', full: 'full', poisoned: 'poisoned', failed: 'failed' };

let span = 60_000;

/** One engine's row. */
class Row {
  constructor(engine, view) {
    this.engine = engine;
    this.state = make('span', { class: 'badge' }, '…');
    this.reason = make('p', { class: 'reason', hidden: true });
    this.facts = make('dl', { class: 'facts' });
    this.charts = FIGURES.map(([key, label, format]) => {
      const chart = new Chart(label, format, engine.lacks[key]);
      chart.root.title = engine.means[key] ?? '';
      return chart;
    });
    this.group = make(
      'div',
      {
        class: 'charts',
        tabindex: 0,
        role: 'group',
        'aria-label': `${engine.title}: charts. Arrow keys move the cursor in time, Escape ends it`,
        onkeydown: (event) => view.keyed(event, this),
        onpointermove: (event) => view.pointed(event),
        onpointerleave: () => view.point(null),
        onblur: () => view.point(null),
      },
      this.charts.map((chart) => chart.root),
    );
    const title = engine.link ? make('a', { href: engine.link }, engine.title) : engine.title;
    this.root = make(
      'section',
      { class: 'engine', 'aria-label': engine.title, 'data-engine': engine.name },
      make(
        'div',
        { class: 'who' },
        make('h2', {}, title, this.state),
        make('p', { class: 'rule' }, engine.rule),
        this.facts,
        this.reason,
      ),
      this.group,
    );
  }

  show(view) {
    const { name } = this.engine;
    const figures = pulse.stats?.engines[name];
    const health = pulse.health?.engines[name];
    const isAbsent = figures?.absent !== undefined;
    const state = isAbsent ? 'absent' : (health?.state ?? 'recovering');
    this.state.textContent = STATES[state] ?? state;
    this.state.dataset.state = state;
    const reason = figures?.absent ?? (state === 'ready' ? '' : (health?.reason ?? figures?.recovering ?? ''));
    this.reason.textContent = reason;
    this.reason.hidden = !reason;
    this.root.classList.toggle('off', isAbsent);
    this.group.hidden = isAbsent;
    if (isAbsent || !figures?.vitals) return;
    const facts = this.engine.facts(figures);
    if (this.facts.childElementCount !== facts.length) {
      this.facts.replaceChildren(...facts.map(([term]) => make('div', {}, make('dt', {}, term), make('dd'))));
    }
    facts.forEach(([, text], at) => {
      const cell = this.facts.children[at].lastChild;
      if (cell.textContent !== text) cell.textContent = text;
    });
    FIGURES.forEach(([key], at) => {
      const points = pulse.samples.map((sample) => [sample.time, sample.readings[name]?.[key] ?? null]);
      this.charts[at].show(points, view.to - span, view.to, view.cursor);
      if (view.drawn % DESCRIBE_EVERY === 1) this.charts[at].describe();
    });
  }

  /** The row at the cursor, in words. */
  words() {
    return this.charts.map((chart) => `${chart.label} ${chart.value.textContent}`).join(', ');
  }
}

class Overview {
  cursor = null;
  drawn = 0;
  to = Date.now();

  constructor() {
    this.server = make('dl', { class: 'server', 'aria-label': 'Server' });
    this.time = make('output', { class: 'time' });
    this.rows = ENGINES.map((engine) => new Row(engine, this));
    const spans = make(
      'fieldset',
      { class: 'spans' },
      make('legend', { class: 'unseen' }, 'Time shown'),
      SPANS.map(([text, ms]) => make(
        'label',
        {},
        make('input', { type: 'radio', name: 'span', checked: ms === span, onchange: () => { span = ms; this.show(); } }),
        make('span', {}, text),
      )),
    );
    this.hold = button('Pause', () => {
      pulse.pause(!pulse.isPaused);
      this.hold.textContent = pulse.isPaused ? 'Go on' : 'Pause';
    });
    this.hold.textContent = pulse.isPaused ? 'Go on' : 'Pause';
    this.root = make(
      'div',
      { class: 'overview' },
      make('h1', { class: 'unseen' }, 'Overview'),
      make('div', { class: 'bar' }, this.server, make('div', { class: 'actions' }, this.time, spans, this.hold)),
      make(
        'div',
        { class: 'heads', 'aria-hidden': 'true' },
        make('span', {}, 'Engine'),
        FIGURES.map(([, label]) => make('span', {}, label)),
      ),
      this.rows.map((row) => row.root),
    );
  }

  point(time) {
    if (this.cursor === time) return;
    this.cursor = time;
    this.show();
  }

  pointed(event) {
    const picture = event.target.closest('.chart')?.querySelector('svg');
    if (!picture) return;
    const box = picture.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    this.point(this.to - span * (1 - share));
  }

  keyed(event, row) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === 'Escape') this.point(null);
    if (!steps || pulse.samples.length === 0) return;
    event.preventDefault();
    const times = pulse.samples.map((sample) => sample.time).filter((time) => time >= this.to - span);
    const at = this.cursor === null ? times.length - 1 : times.indexOf(nearest(times.map((time) => [time]), this.cursor)[0]);
    this.point(times[Math.min(Math.max(at + steps, 0), times.length - 1)]);
    announce(`${row.engine.title}, ${clock(this.cursor)}: ${row.words()}`);
  }

  facts() {
    const { stats, version, health } = pulse;
    const disk = stats.engines.disk ?? {};
    return [
      ['State', health?.state ?? '–'],
      ['Version', version?.version ?? '–'],
      ['Up', uptime(stats.uptime_s)],
      ['Memory', bytes(stats.resident_bytes)],
      ['Disk free', `${bytes(disk.free_bytes)} of ${bytes(disk.size_bytes)}`],
      ['Calls running', count(stats.calls)],
    ];
  }

  show() {
    const last = pulse.samples.at(-1);
    if (last) this.to = pulse.isPaused ? last.time : Math.max(last.time, Date.now() - 1500);
    this.drawn += 1;
    if (pulse.stats) {
      const facts = this.facts().map(([term, text]) => make('div', {}, make('dt', {}, term), make('dd', {}, text)));
      this.server.replaceChildren(...facts);
    }
    this.time.textContent = this.cursor === null ? '' : `at ${clock(this.cursor)}`;
    this.rows.forEach((row) => row.show(this));
  }
}

/** Shows the overview in `place` until `signal` ends. */
export function overview(place, signal) {
  const view = new Overview();
  place.replaceChildren(view.root);
  view.show();
  pulse.addEventListener('sample', () => view.show(), { signal });
  pulse.addEventListener('state', () => view.show(), { signal });
}
