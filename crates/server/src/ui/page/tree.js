// The tree explorer: the rows, the panel, and one stream of changes that keeps both true. The selected path is in the
// address. If the top may not be read, the path in the address is the top.

import { announce, make } from './element.js';
import { json, parse } from './format.js';
import { access, follow, send } from './server.js';
import { Model, namesOf, pathOf } from './tree-model.js';
import { Panel } from './tree-panel.js';
import { Rows, visible } from './tree-rows.js';

const RETRY_MS = [500, 1000, 2000, 5000];
/** The largest value that is edited here, in bytes. */
const EDITABLE = 512 << 10;

const KEYS = [['↑ ↓', 'move'], ['→ ←', 'open, close'], ['Enter', 'edit'], ['+', 'add'], ['Del', 'delete'], ['/', 'filter'], ['Ctrl Enter', 'save']];

const encoded = (names) => names.map(encodeURIComponent).join('/');
const valueAt = (names) => `/ui/tree/values/${encoded(names)}.json`;
const startsWith = (names, base) => base.every((name, at) => names[at] === name);

async function list(path, after, limit) {
  const query = new URLSearchParams({ path, limit });
  if (after !== undefined) query.set('after', after);
  return parse(await (await send('GET', `/ui/tree/children?${query}`)).text());
}

/** Reads and writes of single values. */
const io = {
  async read(names, signal) {
    const headers = { 'x-firebase-etag': 'true' };
    const response = await send('GET', `${valueAt(names)}?print=pretty`, { headers, signal });
    if (Number(response.headers.get('content-length')) > EDITABLE) {
      await response.body.cancel();
      throw new Error('The value is larger than 512 KiB: too large to edit here.');
    }
    return { text: await response.text(), tag: response.headers.get('etag') };
  },

  async write(names, text, tag) {
    const headers = tag ? { 'if-match': tag } : {};
    const response = await send('PUT', valueAt(names), { body: text, headers, also: [412] });
    if (response.status === 412) return { overtaken: await response.text(), tag: response.headers.get('etag') };
    const { tag: now } = await io.read(names);
    return { tag: now };
  },

  async remove(names) {
    await send('DELETE', valueAt(names));
    return {};
  },

  async add(names, name, text) {
    if (!name) return (await (await send('POST', valueAt(names), { body: text })).json()).name;
    const headers = { 'if-match': 'null_etag' };
    const response = await send('PUT', valueAt([...names, name]), { body: text, headers, also: [412] });
    if (response.status === 412) throw new Error(`there is a ${json(name)} already.`);
    return name;
  },
};

class TreeView {
  #frame = 0;
  #stream = null;
  #failures = 0;

  constructor(names, signal) {
    this.signal = signal;
    this.wanted = names;
    this.input = make('input', { value: pathOf(names), autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Path' });
    this.filter = make('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter what is open by name or value', oninput: () => this.draw() });
    this.status = make('p', { class: 'link', role: 'status' });
    this.rows = new Rows({
      select: (node) => this.select(node),
      toggle: (node) => this.toggle(node),
      more: (node) => this.model.more(node),
      edit: (node) => { this.select(node); this.panel.edit(); },
      add: (node) => { this.select(node.isLeaf ? (node.parent ?? node) : node); this.panel.offerAddition(); },
      remove: (node) => { this.select(node); this.panel.remove(); },
    });
    this.panel = new Panel(io, (to, focus) => this.go(to, focus));
    this.blank = make('div', { class: 'empty', hidden: true });
    this.form = make(
      'form',
      { class: 'path', onsubmit: (event) => { event.preventDefault(); this.go(namesOf(this.input.value), true); } },
      this.input,
      make('button', {}, 'Go'),
    );
    this.split = make('div', { class: 'split' }, make('div', { class: 'pane' }, this.rows.root, this.blank), this.panel.root);
    this.keys = make('p', { class: 'keys' }, KEYS.map(([key, does]) => [make('kbd', {}, key), ` ${does} `]));
    this.root = make(
      'div',
      { class: 'explore', onkeydown: (event) => this.#keyed(event) },
      make('h1', { class: 'unseen' }, 'Tree'),
      make('div', { class: 'bar' }, this.form, this.filter, this.status),
      this.split,
      this.keys,
    );
    this.#begin([]);
  }

  #begin(base) {
    this.model = new Model(list, () => this.draw(), base);
    this.selected = this.model.root;
    this.panel.select(this.selected);
  }

  /** Follows the changes until the view is left; comes back after every end. */
  async live() {
    this.signal.addEventListener('abort', () => this.#stream?.abort());
    document.addEventListener('visibilitychange', () => this.#stream?.abort(), { signal: this.signal });
    access.addEventListener('changed', () => { this.#failures = 0; this.#stream?.abort(); }, { signal: this.signal });
    while (!this.signal.aborted) {
      if (document.hidden) {
        await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true, signal: this.signal }));
        continue;
      }
      const stream = (this.#stream = new AbortController());
      try {
        const query = new URLSearchParams({ path: this.model.root.path });
        await follow(`/ui/tree/changes?${query}`, {
          signal: stream.signal,
          opened: () => this.#opened(),
          told: (name, data, id) => this.#told(name, data, id),
        });
        this.#state('gone', 'Stream ended, trying again');
      } catch (error) {
        if (!stream.signal.aborted) this.#failed(error);
      }
      if (this.signal.aborted) return;
      await this.#pause(stream.signal);
    }
  }

  #pause(signal) {
    if (signal.aborted) return null;
    const ms = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); });
    });
  }

  async #opened() {
    this.#failures = 0;
    this.#serve(true);
    this.#state('live', 'Following');
    // What changed while there was no stream.
    await this.model.load(this.model.root);
    if (this.wanted) await this.go(this.wanted, false);
  }

  #told(name, data, id) {
    if (name === 'put' || name === 'patch') {
      const { path, data: value } = parse(data);
      this.model.apply(name, path, value, Number(id));
      this.#state('live', `Following, ${this.model.applied} change${this.model.applied === 1 ? '' : 's'}`);
    } else if (name === 'overflow') {
      this.model.load(this.model.root);
    } else if (name === 'cancel' || name === 'auth_revoked') {
      this.#state('gone', name === 'cancel' ? 'The rules no longer allow it' : 'The token has expired');
    }
  }

  #failed(error) {
    const isDenied = error.status === 401 || error.status === 403;
    const deeper = this.wanted?.length ? this.wanted : [];
    if (isDenied && this.model.root.base.length === 0 && deeper.length) {
      this.#begin(deeper);
      this.#failures = 0;
      return;
    }
    this.#state('gone', error.isGone ? 'Server gone, trying again' : isDenied ? 'No access' : 'Not available');
    if (!error.isGone) {
      this.#failures = RETRY_MS.length;
      const text = isDenied
        ? [`${this.model.root.path} may not be read`, `${error.message}. With a token that may, or with a path that may be read, there is more to see.`]
        : ['The tree is not here', error.message.replace(/^the tree is not here; /, '')];
      this.#say(...text);
      this.#serve(false, isDenied);
    }
  }

  #state(state, text) {
    this.status.dataset.state = state;
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** Shows two lines instead of rows. */
  #say(title, text) {
    this.blank.replaceChildren(make('h2', {}, title), make('p', {}, text));
    this.blank.hidden = false;
  }

  /** Without a tree there is nothing to edit; without access another path may be tried. */
  #serve(isThere, mayGo = isThere) {
    this.panel.root.hidden = !isThere;
    this.keys.hidden = !isThere;
    this.filter.hidden = !isThere;
    this.form.hidden = !mayGo;
    this.split.classList.toggle('alone', !isThere);
  }

  /** Selects a path, opening what is above it. */
  async go(names, focus = false) {
    const base = this.model.root.base;
    if (!startsWith(names, base)) {
      this.wanted = names;
      this.#begin([]);
      this.#stream?.abort();
      return;
    }
    this.wanted = names;
    const node = await this.model.reach(names.slice(base.length));
    if (this.wanted !== names) return;
    this.wanted = null;
    this.select(node);
    if (!node.isLeaf && !node.children && node.parent) await this.toggle(node);
    this.draw(true);
    const missing = names.length > node.names.length;
    if (missing) announce(`There is nothing at ${pathOf(names)}`);
    this.input.setCustomValidity(missing ? `There is nothing at ${pathOf(names)}` : '');
    if (missing && focus) this.input.reportValidity();
    else if (focus) this.rows.focus(node);
    this.rows.reveal(node);
  }

  select(node) {
    this.selected = node;
    this.input.value = node.path;
    this.input.setCustomValidity('');
    const hash = `#/tree/${encoded(node.names)}`;
    if (location.hash !== hash) history.replaceState(null, '', hash);
    this.panel.select(node);
    this.draw();
  }

  async toggle(node) {
    if (node.isLeaf) return;
    node.isOpen = !node.isOpen;
    this.draw();
    if (node.isOpen && !node.children) await this.model.load(node);
  }

  /** Draws soon, once for all changes until then. */
  draw(now = false) {
    if (now) {
      this.#draw();
      return;
    }
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { root } = this.model;
    const rows = visible(root, this.filter.value);
    this.rows.show(rows, this.selected);
    const isThere = this.model.find(this.selected.names.slice(root.base.length)) === this.selected;
    this.panel.refresh(isThere);
    if (root.problem || !(root.children || root.isLeaf)) return;
    this.blank.hidden = rows.length > 0;
    if (rows.length === 0) {
      if (this.model.isEmpty) this.#say('The tree is empty', 'Add a child, or PUT a value to the tree’s port: it appears here.');
      else this.#say('Nothing matches', 'The filter looks at what is open.');
    }
  }

  #keyed(event) {
    const isTyping = event.target.matches('input, textarea');
    if (event.key === '/' && !isTyping) {
      event.preventDefault();
      this.filter.focus();
    } else if (event.key === 'Escape' && event.target === this.filter) {
      this.filter.value = '';
      this.draw();
      this.rows.focusFirst();
    } else if (event.key === 'ArrowDown' && event.target === this.filter) {
      event.preventDefault();
      this.rows.focusFirst();
    }
  }
}

/** Shows the explorer in `place` until `signal` ends; `names` is the path in the address. */
export function tree(place, signal, names) {
  const view = new TreeView(names, signal);
  place.replaceChildren(view.root);
  view.live();
  return (next) => view.go(next);
}
