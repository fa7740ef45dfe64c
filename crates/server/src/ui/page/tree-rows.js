// The rows of the tree: what of the model is open, as an ARIA tree with one tab stop. Rows are kept between two renderings,
// so that focus and scrolling stay; a row whose node has changed is marked for a moment.

import { button, make } from './element.js';
import { json, kind } from './format.js';

const LONGEST = 160;
/** How long a change is marked. */
export const MARKED_MS = 1600;

/** Whether a node or something loaded below it has the text in its name or its value. */
function matches(node, text) {
  if (node.name.toLowerCase().includes(text)) return true;
  if (node.isLeaf) return json(node.value).toLowerCase().includes(text);
  return node.sorted().some((child) => matches(child, text));
}

/** What is seen, from the top: nodes with their level, and the ends of pages. */
export function visible(root, filter) {
  const text = filter.trim().toLowerCase();
  const rows = [];
  const walk = (node, level, isFree) => {
    for (const child of node.sorted()) {
      const isHit = isFree || !text || child.name.toLowerCase().includes(text);
      if (!isHit && !matches(child, text)) continue;
      rows.push({ node: child, level, key: child.path });
      if (child.isOpen && !child.isLeaf) walk(child, level + 1, isHit && text !== '');
    }
    if (node.hasMore) rows.push({ node, level, key: `${node.path} more`, isMore: true });
  };
  if (root.isLeaf) rows.push({ node: root, level: 1, key: root.path });
  else walk(root, 1, false);
  return rows;
}

/** A leaf's value on one line. */
export function preview(node) {
  const text = json(node.value);
  const isCut = text.length > LONGEST || node.length !== undefined;
  return isCut ? `${text.slice(0, LONGEST).replace(/"$/, '')}…` : text;
}

/** The list of rows. `acts` has what a row can do: select, toggle, more, edit, add, remove. */
export class Rows {
  #rows = new Map();
  #shown = [];
  #focused = null;

  constructor(acts) {
    this.acts = acts;
    this.root = make('div', {
      class: 'rows',
      role: 'tree',
      'aria-label': 'Tree',
      onkeydown: (event) => this.#keyed(event),
      onfocusin: (event) => this.#focusedAt(event.target.closest('[role=treeitem]')),
    });
  }

  /** Shows these rows. */
  show(rows, selected) {
    const before = this.#rows;
    const place = this.#focused && document.activeElement === this.#focused ? this.#shown.indexOf(this.#focused) : -1;
    this.#rows = new Map();
    const elements = rows.map((row) => {
      const element = before.get(row.key) ?? (row.isMore ? this.#more() : this.#row());
      this.#rows.set(row.key, element);
      element.row = row;
      this.#paint(element, row, row.node === selected && !row.isMore);
      return element;
    });
    this.#shown = elements;
    elements.forEach((element, at) => {
      if (this.root.children[at] !== element) this.root.insertBefore(element, this.root.children[at] ?? null);
    });
    while (this.root.children.length > elements.length) this.root.lastChild.remove();
    if (!elements.includes(this.#focused)) this.#focused = null;
    const stop = this.#focused ?? elements.find((element) => element.row.node === selected) ?? elements[0];
    elements.forEach((element) => { element.tabIndex = element === stop ? 0 : -1; });
    // Who stood on a row that has gone goes on from its place.
    if (place >= 0 && !this.#focused) elements[Math.min(place, elements.length - 1)]?.focus();
  }

  focus(node) {
    this.#shown.find((element) => element.row.node === node && !element.row.isMore)?.focus();
  }

  focusFirst() {
    this.#shown[0]?.focus();
  }

  reveal(node) {
    this.#shown.find((element) => element.row.node === node)?.scrollIntoView({ block: 'nearest' });
  }

  #row() {
    const element = make('div', { class: 'row', role: 'treeitem' });
    element.turn = make('span', { class: 'turn', 'aria-hidden': 'true' });
    element.name = make('span', { class: 'name' });
    element.shown = make('span', { class: 'shown' });
    element.append(element.turn, element.name, element.shown);
    element.addEventListener('click', (event) => {
      const { node } = element.row;
      this.acts.select(node);
      if (event.target === element.turn || event.detail === 2) this.acts.toggle(node);
    });
    return element;
  }

  #more() {
    const element = make('div', { class: 'row more', role: 'treeitem' });
    element.append(button('More', () => this.acts.more(element.row.node), { tabindex: -1 }));
    return element;
  }

  #paint(element, row, isSelected) {
    const { node, level } = row;
    element.style.setProperty('--level', level - 1);
    element.setAttribute('aria-level', level);
    if (row.isMore) {
      element.firstChild.textContent = node.isLoading ? 'Loading…' : `More below ${node.path}`;
      return;
    }
    element.setAttribute('aria-selected', isSelected);
    if (node.isLeaf) element.removeAttribute('aria-expanded');
    else element.setAttribute('aria-expanded', node.isOpen);
    const name = node.parent ? node.name : '/';
    if (element.name.textContent !== name) element.name.textContent = name;
    const [text, type] = this.#shownOf(node);
    if (element.shown.textContent !== text) element.shown.textContent = text;
    element.shown.dataset.kind = type;
    if (node.changed && node.changed !== element.painted && performance.now() - node.changed < MARKED_MS) {
      element.painted = node.changed;
      element.classList.remove('changed');
      // So that a second change while the first is marked is marked anew.
      element.getBoundingClientRect();
      element.classList.add('changed');
      setTimeout(() => { if (element.painted === node.changed) element.classList.remove('changed'); }, MARKED_MS);
    }
  }

  #shownOf(node) {
    if (node.problem) return [node.problem.message, 'problem'];
    if (node.isLeaf) return [preview(node), kind(node.value)];
    if (node.isLoading && !node.children) return ['…', 'container'];
    if (!node.isOpen || !node.children) return ['', 'container'];
    return [`${node.children.size}${node.hasMore ? '+' : ''}`, 'container'];
  }

  #focusedAt(element) {
    if (!element || element === this.#focused) return;
    if (this.#focused) this.#focused.tabIndex = -1;
    this.#focused = element;
    element.tabIndex = 0;
  }

  #keyed(event) {
    const element = event.target.closest('[role=treeitem]');
    const at = this.#shown.indexOf(element);
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const { node, isMore } = element.row;
    const go = (to) => this.#shown[Math.min(Math.max(to, 0), this.#shown.length - 1)]?.focus();
    const keys = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + 20),
      PageUp: () => go(at - 20),
      Home: () => go(0),
      End: () => go(this.#shown.length - 1),
      ArrowRight: () => (node.isLeaf || isMore ? null : node.isOpen ? go(at + 1) : this.acts.toggle(node)),
      ArrowLeft: () => (node.isOpen && !isMore ? this.acts.toggle(node) : this.focus(isMore ? node : node.parent)),
      Enter: () => (isMore ? this.acts.more(node) : this.acts.edit(node)),
      ' ': () => (isMore ? this.acts.more(node) : this.acts.select(node)),
      F2: () => !isMore && this.acts.edit(node),
      Insert: () => !isMore && this.acts.add(node),
      '+': () => !isMore && this.acts.add(node),
      Delete: () => !isMore && this.acts.remove(node),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
