// The form of a vector search: a vector, or a point whose neighbours are wanted, with how many, how exactly, and a filter.
// It says what is wrong before it asks.

import { button, field, make } from './element.js';
import { fault, parse } from './format.js';

const MOST = 1000;

/** The numbers of a text: a JSON list, or separated by white space, commas or semicolons. */
export function numbers(text) {
  const parts = text.replace(/^\s*\[|\]\s*$/g, '').split(/[\s,;]+/).filter(Boolean);
  const all = parts.map(Number);
  const bad = all.findIndex((number) => !Number.isFinite(number));
  if (bad >= 0) throw new Error(`“${parts[bad].slice(0, 20)}” is not a number.`);
  return all;
}

/** The id that a text means: digits are a number, anything else a name; in quotes it is a name whatever it looks like. */
export function idOf(text) {
  const bare = text.trim();
  if (/^\d+$/.test(bare) || /^".*"$/.test(bare)) return parse(bare);
  return bare;
}

/** `search` is called with `{like, vector, k, exact, ef, filter}`, of which `like` or `vector` is there; `any` picks a point. */
export class QueryForm {
  #dimension = 0;

  constructor(search, any) {
    const check = () => this.check();
    const mode = (value, text) => make(
      'label',
      {},
      make('input', { type: 'radio', name: 'mode', value, checked: value === 'like', onchange: () => { this.#mode(); this.check(); } }),
      make('span', {}, text),
    );
    this.modes = make('fieldset', { class: 'spans' }, make('legend', { class: 'unseen' }, 'Search by'), mode('like', 'Like a point'), mode('vector', 'By vector'));
    this.like = make('input', { autocomplete: 'off', spellcheck: 'false', placeholder: '7, or a name', oninput: check });
    this.likeField = field('Point id', this.like);
    this.vector = make('textarea', { class: 'code', rows: 4, spellcheck: 'false', placeholder: '[0.1, 0.9, …]', oninput: check });
    this.counted = make('p', { class: 'hint' });
    this.vectorField = field('Vector', this.vector, this.counted);
    this.k = make('input', { type: 'number', min: 1, max: MOST, value: 10, required: true, oninput: check });
    this.ef = make('input', { type: 'number', min: 1, placeholder: 'auto', oninput: check });
    this.exact = make('input', { type: 'checkbox', onchange: check });
    this.filter = make('textarea', { class: 'code', rows: 2, spellcheck: 'false', placeholder: '{"field": "kind", "equal": "inn"}', oninput: check });
    this.fault = make('p', { class: 'fault', 'aria-live': 'polite' });
    this.submit = make('button', { class: 'primary' }, 'Search');
    this.root = make(
      'form',
      {
        class: 'query',
        'aria-label': 'Search',
        onsubmit: (event) => {
          event.preventDefault();
          const query = this.check();
          if (query) search(query);
        },
        onkeydown: (event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.root.requestSubmit();
        },
      },
      this.modes,
      this.likeField,
      this.vectorField,
      make(
        'div',
        { class: 'pair' },
        field('Hits (k)', this.k),
        field('Effort (ef)', this.ef),
        make('label', { class: 'check' }, this.exact, 'Exact'),
      ),
      field('Filter on the payload, as JSON', this.filter, this.fault),
      make('div', { class: 'actions' }, this.submit, button('Any point', any)),
    );
    this.#mode();
  }

  /** For a collection of vectors of so many numbers. */
  use(dimension) {
    this.#dimension = dimension;
    this.check();
  }

  /** Fills in a point and asks for its neighbours. */
  askLike(id) {
    this.root.elements.mode.value = 'like';
    this.like.value = typeof id === 'string' && /^\d+$/.test(id) ? JSON.stringify(id) : String(id);
    this.#mode();
    this.check();
    this.root.requestSubmit();
  }

  get #isLike() {
    return this.root.elements.mode.value === 'like';
  }

  #mode() {
    this.likeField.hidden = !this.#isLike;
    this.vectorField.hidden = this.#isLike;
  }

  /** The query, or null and the reason in the form. */
  check() {
    const query = { k: this.k.valueAsNumber, exact: this.exact.checked };
    this.ef.disabled = this.exact.checked;
    let why = '';
    if (!(query.k >= 1 && query.k <= MOST && Number.isInteger(query.k))) why = `k is a whole number from 1 to ${MOST}.`;
    if (!this.exact.checked && this.ef.value) query.ef = this.ef.valueAsNumber;
    const filter = this.filter.value.trim();
    const broken = filter && fault(filter);
    if (broken) why = `The filter is not JSON: ${broken}`;
    else if (filter) query.filter = parse(filter);
    const isFilled = this.#isLike ? this.like.value.trim() !== '' : this.#vector(query);
    if (this.#isLike && isFilled) query.like = idOf(this.like.value);
    this.fault.textContent = why;
    this.submit.disabled = why !== '' || !isFilled;
    return this.submit.disabled ? null : query;
  }

  #vector(query) {
    try {
      query.vector = numbers(this.vector.value);
      this.counted.textContent = `${query.vector.length} of ${this.#dimension} numbers`;
      return query.vector.length === this.#dimension;
    } catch (error) {
      this.counted.textContent = error.message;
      return false;
    } finally {
      this.vector.setAttribute('aria-invalid', this.vector.value !== '' && query.vector?.length !== this.#dimension);
    }
  }
}
