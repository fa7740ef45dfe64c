// The panel beside the tree: the value at the selected place as JSON, to edit, delete and add to.
//
// A value is written only while it still is what was read (by its tag); who was overtaken sees both and chooses. Text goes to
// the server as it was typed, so that numbers keep their digits.

import { announce, button, confirmed, field, make } from './element.js';
import { fault } from './format.js';
import { preview } from './tree-rows.js';

const FORBIDDEN = /[.$#[\]/\u0000-\u001f\u007f]/;
const LONGEST_NAME = 768;

/** Why a text is no name; empty = it is one. */
export function nameFault(name) {
  const bad = FORBIDDEN.exec(name);
  if (bad) return `A name has no ${JSON.stringify(bad[0])}: none of . $ # [ ] / and no control characters.`;
  const bytes = new TextEncoder().encode(name).length;
  return bytes > LONGEST_NAME ? `A name has at most ${LONGEST_NAME} bytes; this has ${bytes}.` : '';
}

/** `io` reads and writes, `go` selects a path. */
export class Panel {
  #node = null;
  #tag = null;
  #loaded = '';
  #seen = 0;
  #reading = null;

  constructor(io, go) {
    this.io = io;
    this.go = go;
    this.crumbs = make('nav', { class: 'crumbs', 'aria-label': 'Path of the selected value' });
    this.text = make('textarea', {
      class: 'code',
      spellcheck: 'false',
      rows: 10,
      oninput: () => this.#checked(),
      onkeydown: (event) => this.#keyed(event, () => this.save()),
    });
    this.fault = make('p', { class: 'fault', 'aria-live': 'polite' });
    this.notice = make('div', { class: 'notice', role: 'status', hidden: true });
    this.saver = button('Save', () => this.save(), { class: 'primary' });
    this.reverter = button('Revert', () => this.#read());
    this.remover = button('Delete', () => this.remove(), { class: 'danger' });
    this.editor = make(
      'section',
      { 'aria-label': 'Value' },
      field('Value, as JSON', this.text, this.fault),
      make('div', { class: 'actions' }, this.saver, this.reverter, this.remover),
    );
    this.opener = button('Edit as JSON', () => this.#read(true));
    this.dropper = button('Delete', () => this.remove(), { class: 'danger' });
    this.container = make(
      'section',
      { 'aria-label': 'Container' },
      make('div', { class: 'actions' }, this.opener, this.dropper),
    );
    this.name = make('input', { autocomplete: 'off', placeholder: 'empty: a name is made', oninput: () => this.#addable() });
    this.value = make('textarea', {
      class: 'code',
      spellcheck: 'false',
      rows: 3,
      placeholder: '{"topic": "tea"}',
      oninput: () => this.#addable(),
      onkeydown: (event) => this.#keyed(event, () => this.add()),
    });
    this.addFault = make('p', { class: 'fault', 'aria-live': 'polite' });
    this.adder = button('Add', () => this.add(), { class: 'primary' });
    this.addition = make(
      'section',
      { 'aria-label': 'Add a child' },
      make('h2', {}, 'Add a child'),
      field('Name', this.name),
      field('Value, as JSON', this.value, this.addFault),
      make('div', { class: 'actions' }, this.adder),
    );
    this.root = make('aside', { class: 'panel', 'aria-label': 'Selected value' }, this.crumbs, this.notice, this.editor, this.container, this.addition);
  }

  get isDirty() {
    return !this.editor.hidden && this.text.value !== this.#loaded;
  }

  /** Shows a place. What was typed for another one is dropped. */
  select(node) {
    const isOther = this.#node !== node;
    this.#node = node;
    const names = node.names;
    const links = names.map((name, at) => make('li', {}, button(name, () => this.go(names.slice(0, at + 1)))));
    this.crumbs.replaceChildren(make('ol', {}, make('li', {}, button('/', () => this.go([]), { 'aria-label': 'The root' })), links));
    if (isOther) {
      this.#say(null);
      this.#reading?.abort();
      this.#tag = null;
      this.name.value = '';
      this.#seen = node.changed;
    }
    if (isOther || node.isLeaf === this.editor.hidden) this.#kind(node.isLeaf);
    if (isOther && node.isLeaf) this.#read();
    this.#addable();
  }

  /** Called when the model has changed. */
  refresh(isThere) {
    const node = this.#node;
    if (!node) return;
    if (!isThere) {
      this.#say('It was deleted on the server.', []);
      return;
    }
    if (node.isLeaf && this.editor.hidden) {
      this.#kind(true);
      this.#read();
    } else if (!node.isLeaf && !this.editor.hidden && this.#tag === null) {
      this.#kind(false);
    }
    if (node.changed === this.#seen) return;
    this.#seen = node.changed;
    if (this.editor.hidden) return;
    if (this.isDirty) {
      const now = node.isLeaf ? `: ${preview(node)}` : '.';
      this.#say(`It changed on the server${now}`, [button("Take the server's", () => this.#read())]);
    } else {
      this.#read();
    }
  }

  #kind(isLeaf) {
    this.editor.hidden = !isLeaf;
    this.container.hidden = isLeaf;
    this.addition.hidden = isLeaf;
    this.dropper.hidden = !this.#node.parent;
    this.remover.hidden = !this.#node.parent;
  }

  #say(text, buttons = []) {
    this.notice.hidden = text === null;
    this.notice.replaceChildren(...(text === null ? [] : [make('p', {}, text), make('div', { class: 'actions' }, buttons)]));
  }

  /** Reads the value; a container's on demand only, it may be large. */
  async #read(focus = false) {
    const node = this.#node;
    this.#reading?.abort();
    const reading = (this.#reading = new AbortController());
    this.text.setAttribute('aria-busy', 'true');
    try {
      const { text, tag } = await this.io.read(node.names, reading.signal);
      if (this.#node !== node || reading.signal.aborted) return;
      [this.#loaded, this.#tag] = [text, tag];
      this.text.value = text;
      this.editor.hidden = false;
      this.container.hidden = true;
      this.#say(null);
      this.#checked();
      if (focus) this.text.focus();
    } catch (error) {
      if (!reading.signal.aborted) this.#say(error.message);
    } finally {
      this.text.removeAttribute('aria-busy');
    }
  }

  #checked() {
    const why = fault(this.text.value);
    const isText = why && /^[^\s{["]/.test(this.text.value);
    const hint = isText ? [' ', button('Quote it', () => { this.text.value = JSON.stringify(this.text.value); this.#checked(); this.text.focus(); }, { class: 'inline' })] : [];
    this.fault.replaceChildren(...(why && this.isDirty ? [`Not JSON: ${why}`, ...hint] : []));
    this.text.setAttribute('aria-invalid', Boolean(why && this.isDirty));
    this.saver.disabled = Boolean(why) || !this.isDirty;
    this.reverter.disabled = !this.isDirty;
  }

  async save() {
    if (this.saver.disabled) return;
    await this.#write(() => this.io.write(this.#node.names, this.text.value, this.#tag), 'Saved');
  }

  async remove() {
    const node = this.#node;
    if (!node?.parent) return;
    const below = node.isLeaf ? '' : ' and everything below it';
    if (!(await confirmed(`Delete ${node.path}${below}?`, 'Delete'))) return;
    const above = node.parent.names;
    if (await this.#write(() => this.io.remove(node.names), `Deleted ${node.path}`)) this.go(above);
  }

  async #write(write, done) {
    const node = this.#node;
    try {
      const outcome = await write();
      if (outcome.overtaken !== undefined) {
        this.#say(`Not saved: meanwhile it became ${outcome.overtaken.slice(0, 200)}`, [
          button('Overwrite it', () => { this.#tag = outcome.tag; this.save(); }),
          button("Take the server's", () => this.#read()),
        ]);
        return false;
      }
      announce(done);
      if (this.#node !== node) return true;
      this.#say(null);
      if (outcome.tag !== undefined) {
        [this.#loaded, this.#tag] = [this.text.value, outcome.tag];
        this.#checked();
      }
      return true;
    } catch (error) {
      this.#say(`Not done: ${error.message}`);
      return false;
    }
  }

  #addable() {
    const why = nameFault(this.name.value) || (this.value.value.trim() && fault(this.value.value));
    this.addFault.textContent = why ?? '';
    this.name.setAttribute('aria-invalid', Boolean(nameFault(this.name.value)));
    this.adder.disabled = Boolean(why) || !this.value.value.trim();
  }

  async add() {
    if (this.adder.disabled) return;
    const names = this.#node.names;
    try {
      const name = await this.io.add(names, this.name.value, this.value.value);
      this.name.value = '';
      this.value.value = '';
      this.#addable();
      announce(`Added ${name}`);
      this.name.focus();
    } catch (error) {
      this.addFault.textContent = `Not added: ${error.message}`;
    }
  }

  /** Puts the focus where the value is edited. */
  edit() {
    if (this.editor.hidden) this.#read(true);
    else this.text.focus();
  }

  /** Puts the focus where a child is added. */
  offerAddition() {
    this.addition.hidden = false;
    this.name.focus();
  }

  #keyed(event, act) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      act();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      this.go(this.#node.names, true);
    }
  }
}
