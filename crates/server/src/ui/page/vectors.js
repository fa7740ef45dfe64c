// The vector explorer: the collections with their facts, the form of a search, and what it found, each hit with a bar for its
// score and a button to go on from it. Before the first search the collection's first points are shown.

import { announce, button, make } from './element.js';
import { bytes, count, json, microseconds } from './format.js';
import { pulse } from './pulse.js';
import { call } from './server.js';
import { QueryForm } from './vector-query.js';

const FIRST = 20;
/** A payload up to this is shown whole, in characters. */
const LONGEST = 110;
const METRICS = {
  cosine: ['Cosine', 'larger is nearer', 'cosine'],
  inner_product: ['Inner product', 'larger is nearer', 'inner product'],
  l2: ['Distance', 'smaller is nearer', 'Euclidean distance'],
};

const at = (name) => `/v1/vectors/${encodeURIComponent(name)}`;

/** How long a hit's bar is, 0 to 1: a cosine as it is, anything else beside the largest of the list. */
export function share(metric, score, scores) {
  if (metric === 'cosine') return Math.min(Math.max(score, 0), 1);
  const most = Math.max(...scores.map(Math.abs), Number.MIN_VALUE);
  return Math.min(Math.max(score / most, 0), 1);
}

class VectorsView {
  #name = null;
  #info = null;
  #asked = 0;

  constructor(name) {
    this.list = make('ul', { class: 'collections' });
    this.facts = make('dl', { class: 'facts wide' });
    this.form = new QueryForm((query) => this.search(query), () => this.any());
    this.caption = make('p', { class: 'caption', role: 'status' });
    this.found = make('div', { class: 'found' });
    this.blank = make('div', { class: 'empty', hidden: true });
    this.title = make('h2', {});
    this.body = make(
      'div',
      { class: 'collection' },
      make('div', { class: 'about' }, this.title, this.facts),
      make('div', { class: 'split' }, this.form.root, make('section', { class: 'pane', 'aria-label': 'Points' }, this.caption, this.found)),
    );
    this.root = make(
      'div',
      { class: 'explore' },
      make('h1', { class: 'unseen' }, 'Vectors'),
      make('nav', { class: 'bar', 'aria-label': 'Collections' }, this.list),
      this.blank,
      this.body,
    );
    this.wanted = name;
    this.refresh();
  }

  /** Called with each sample: the list and the facts are those of the server's figures. */
  refresh() {
    const figures = pulse.stats?.engines.vectors;
    const collections = figures?.collections ?? {};
    const names = Object.keys(collections);
    const reason = figures?.absent ?? figures?.recovering;
    this.blank.hidden = !pulse.stats || names.length > 0;
    this.body.hidden = names.length === 0;
    this.list.parentElement.hidden = names.length === 0;
    if (!this.blank.hidden) this.#empty(reason);
    if (this.#listed !== names.join('\n') || this.#name === null) this.#links(names);
    const wanted = names.includes(this.wanted) ? this.wanted : names[0];
    if (wanted !== undefined && wanted !== this.#name) this.#choose(wanted);
    else if (this.#name !== null) this.#describe(collections[this.#name]);
  }

  #listed = '';

  #empty(reason) {
    const text = reason ?? 'none';
    if (this.blank.dataset.reason === text) return;
    this.blank.dataset.reason = text;
    const make_one = `curl -X PUT ${location.origin}/v1/vectors/places -d '{"dimension": 2, "metric": "cosine"}'`;
    const store = `curl -X PUT ${location.origin}/v1/vectors/places/points -d '{"points": [{"id": 7, "vector": [0.1, 0.9]}]}'`;
    this.blank.replaceChildren(
      ...(reason
        ? [make('h2', {}, 'Vectors are not here'), make('p', {}, reason)]
        : [make('h2', {}, 'There are no collections'), make('p', {}, 'Make one and store a point; it appears here:'), make('pre', {}, `${make_one}\n${store}`)]),
    );
  }

  #links(names) {
    this.#listed = names.join('\n');
    this.list.replaceChildren(...names.map((name) => make('li', {}, make('a', { href: `#/vectors/${encodeURIComponent(name)}` }, name))));
    this.#mark();
  }

  #mark() {
    for (const link of this.list.querySelectorAll('a')) {
      if (link.textContent === this.#name) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }

  choose(name) {
    this.wanted = name;
    this.refresh();
  }

  async #choose(name) {
    this.#name = name;
    this.#info = null;
    this.#mark();
    this.title.textContent = name;
    this.found.replaceChildren();
    this.caption.textContent = '';
    try {
      const info = await call('GET', at(name));
      if (this.#name !== name) return;
      this.#info = info;
      this.form.use(info.dimension);
      this.#describe(info);
      await this.browse();
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  #describe(now) {
    if (!this.#info || !now) return;
    const [, , metric] = METRICS[this.#info.metric];
    const { budget_bytes: budget } = this.#info;
    const facts = [
      ['metric', metric],
      ['dimension', count(this.#info.dimension)],
      ['points', count(now.count)],
      ['memory', `${bytes(now.bytes)} of ${bytes(budget)}`],
    ];
    this.facts.replaceChildren(...facts.map(([term, text]) => make('div', {}, make('dt', {}, term), make('dd', {}, text))));
  }

  #say(text, isFault = false) {
    this.caption.textContent = text;
    this.caption.classList.toggle('fault', isFault);
  }

  /** Shows the first points. */
  async browse() {
    const name = this.#name;
    const { points } = await call('POST', `${at(name)}/scroll`, { limit: FIRST, with: ['payload'] });
    if (this.#name !== name || this.#asked) return;
    this.#say(points.length ? `The first ${points.length === 1 ? 'point' : `${points.length} points`}` : 'The collection has no points.');
    this.#table(points);
  }

  /** Asks for the neighbours of some point. */
  async any() {
    try {
      const { points } = await call('POST', `${at(this.#name)}/scroll`, { limit: 100 });
      if (points.length) this.form.askLike(points[Math.floor(Math.random() * points.length)].id);
      else this.#say('The collection has no points.');
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  async search({ like, ...query }) {
    const name = this.#name;
    const asked = (this.#asked += 1);
    this.found.setAttribute('aria-busy', 'true');
    try {
      if (like !== undefined) query.vector = await this.#vectorOf(name, like);
      const began = performance.now();
      const { hits } = await call('POST', `${at(name)}/search`, { ...query, with: ['payload'] });
      const took = performance.now() - began;
      if (this.#name !== name || asked !== this.#asked) return;
      const [, nearer] = METRICS[this.#info.metric];
      const found = hits.length === 1 ? '1 hit' : `${hits.length} hits`;
      this.#say(`${found}${query.exact ? ', exact' : ''}, ${microseconds(took * 1000)} round trip; ${nearer}`);
      announce(found);
      this.#table(hits, like);
    } catch (error) {
      if (asked === this.#asked) this.#say(error.message, true);
    } finally {
      this.found.removeAttribute('aria-busy');
    }
  }

  async #vectorOf(name, id) {
    const { points } = await call('POST', `${at(name)}/get`, { ids: [id], with: ['vector'] });
    if (!points[0]) throw new Error(`There is no point ${json(id)} in ${name}.`);
    return points[0].vector;
  }

  #table(points, like) {
    const hasScores = points.some((point) => point.score !== undefined);
    const scores = points.map((point) => point.score);
    const [label] = METRICS[this.#info.metric];
    const rows = points.map((point, rank) => make(
      'tr',
      { class: like !== undefined && String(point.id) === String(like) ? 'self' : null },
      make('td', { class: 'rank' }, rank + 1),
      make('th', { scope: 'row', title: String(point.id) }, String(point.id)),
      hasScores && make('td', { class: 'score' }, point.score.toFixed(4), this.#bar(point.score, scores)),
      make('td', { class: 'payload' }, payload(point.payload)),
      make('td', { class: 'act' }, button('Like this', () => this.form.askLike(point.id), { 'aria-label': `Search like point ${point.id}` })),
    ));
    const heads = ['', 'Id', ...(hasScores ? [label] : []), 'Payload'];
    this.found.replaceChildren(
      ...(points.length === 0 ? [] : [make(
        'table',
        {},
        make('thead', {}, make('tr', {}, heads.map((text) => make('th', { scope: 'col' }, text)), make('td'))),
        make('tbody', {}, rows),
      )]),
    );
  }

  #bar(score, scores) {
    const fill = make('span', { class: 'fill' });
    fill.style.width = `${share(this.#info.metric, score, scores) * 100}%`;
    return make('span', { class: 'track', 'aria-hidden': 'true' }, fill);
  }
}

/** A payload: its fields in a line; a long one is opened to all of it. */
function payload(value) {
  if (value === undefined) return make('span', { class: 'none' }, '–');
  const fields = Object.entries(value).map(([name, inner]) => [name, typeof inner === 'string' ? inner : json(inner)]);
  const line = fields.map(([name, text]) => [make('span', { class: 'key' }, name), ` ${text.slice(0, LONGEST)} `]);
  const length = fields.reduce((sum, [name, text]) => sum + name.length + text.length + 2, 0);
  if (length <= LONGEST) return make('span', { class: 'line' }, line);
  const whole = JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner), 2);
  return make('details', {}, make('summary', {}, make('span', { class: 'line' }, line)), make('pre', {}, whole));
}

/** Shows the explorer in `place` until `signal` ends; `names` has the collection in the address. */
export function vectors(place, signal, names) {
  const view = new VectorsView(names[0]);
  place.replaceChildren(view.root);
  pulse.addEventListener('sample', () => view.refresh(), { signal });
  return (next) => view.choose(next[0]);
}
