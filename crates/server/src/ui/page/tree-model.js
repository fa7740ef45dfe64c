// The part of the tree that is looked at: nodes whose children were asked for, kept true by the stream of changes.
//
// Children are loaded a page at a time and never deeper than somebody looked. A change is applied where it falls into what is
// loaded; where it falls deeper, its nearest node is said to have changed. A listing that was read before a change which is
// already applied has that change applied to it again.

/** Children of a page. */
export const PAGE = 200;
/** Changes that are kept for listings that are under way. */
const KEPT = 500;
const INTEGER = /^-?\d{1,10}$/;

/** Whether a name sorts as a number: it fits 32 bits. */
function number(name) {
  if (!INTEGER.test(name)) return null;
  const value = Number(name);
  return value >= -(2 ** 31) && value < 2 ** 31 ? value : null;
}

/** The tree's order: small integers by value, then the other names by their characters. */
export function order(a, b) {
  const [left, right] = [number(a), number(b)];
  if (left !== null && right !== null) return left - right || a.length - b.length;
  if (left !== null || right !== null) return left !== null ? -1 : 1;
  const [these, those] = [[...a], [...b]];
  for (let at = 0; at < these.length && at < those.length; at += 1) {
    const difference = these[at].codePointAt(0) - those[at].codePointAt(0);
    if (difference) return difference;
  }
  return these.length - those.length;
}

/** The children of a value, by name; a list has numbers for names, and its gaps are nothing. */
export function entries(value) {
  const all = Object.entries(value);
  return Array.isArray(value) ? all.filter(([, inner]) => inner !== null) : all;
}

const isContainer = (value) => value !== null && typeof value === 'object';
export const namesOf = (path) => path.split('/').filter(Boolean);
export const pathOf = (names) => `/${names.join('/')}`;

/** A place in the tree. A leaf has a value; a container has children once they are loaded. */
export class Node {
  constructor(name, parent) {
    this.name = name;
    this.parent = parent;
    this.isLeaf = false;
    this.value = undefined;
    this.length = undefined;
    this.children = null;
    this.hasMore = false;
    this.isOpen = false;
    this.isLoading = false;
    this.problem = null;
    this.changed = 0;
    /** Where the root is, if not at the tree's own. */
    this.base = [];
  }

  get names() {
    return this.parent ? [...this.parent.names, this.name] : this.base;
  }

  get path() {
    return pathOf(this.names);
  }

  become(value, length) {
    this.isLeaf = true;
    [this.value, this.length, this.children, this.isOpen, this.hasMore] = [value, length, null, false, false];
  }

  becomeContainer() {
    if (!this.isLeaf) return;
    this.isLeaf = false;
    [this.value, this.length, this.children] = [undefined, undefined, null];
  }

  sorted() {
    return this.children ? [...this.children.values()].sort((a, b) => order(a.name, b.name)) : [];
  }
}

/** What is known of the tree. `list` asks the server for a page of children; `told` is called after every change. */
export class Model {
  #list;
  #told;
  #recent = [];
  #checks = new Set();

  constructor(list, told, base = []) {
    this.#list = list;
    this.#told = told;
    this.root = new Node('', null);
    this.root.isOpen = true;
    this.root.base = base;
    this.isEmpty = false;
    this.applied = 0;
  }

  /** The node at a path below the root's, as far as it is loaded. */
  find(names) {
    let node = this.root;
    for (const name of names) {
      node = node.children?.get(name);
      if (!node) return null;
    }
    return node;
  }

  /** Loads the first page of a node's children, or as many as were there, and again those of open nodes below. */
  async load(node) {
    const wanted = Math.max(PAGE, Math.min(node.children?.size ?? 0, 1000));
    await this.#page(node, undefined, wanted);
    const open = node.sorted().filter((child) => child.isOpen);
    await Promise.all(open.map((child) => this.load(child)));
  }

  /** Loads the page behind the last child. */
  more(node) {
    return this.#page(node, node.sorted().at(-1)?.name, PAGE);
  }

  async #page(node, after, limit) {
    node.isLoading = true;
    this.#told();
    try {
      const listing = await this.#list(node.path, after, limit);
      node.problem = null;
      this.#merge(node, listing, after);
      for (const change of this.#recent) {
        if (change.seq > listing.seq) this.#set(change.names, change.value, false);
      }
    } catch (problem) {
      node.problem = problem;
    }
    node.isLoading = false;
    this.#told();
  }

  #merge(node, listing, after) {
    if (node === this.root) this.isEmpty = listing.leaf === undefined && listing.children.length === 0 && after === undefined;
    if (listing.leaf !== undefined) {
      node.become(listing.leaf);
      return;
    }
    const known = node.children ?? new Map();
    node.becomeContainer();
    const kept = after === undefined ? new Map() : new Map(known);
    for (const { name, value, length } of listing.children) {
      const child = known.get(name) ?? new Node(name, node);
      if (value === undefined) child.becomeContainer();
      else child.become(value, length);
      kept.set(name, child);
    }
    node.children = kept;
    node.hasMore = listing.has_more;
  }

  /** Opens every node on the way to a path below the root's and answers the last that is there. */
  async reach(names) {
    let node = this.root;
    if (!node.children && !node.isLeaf) await this.load(node);
    for (const name of names) {
      if (!node.children && !node.isLeaf) await this.load(node);
      let child = node.children?.get(name);
      if (!child && node.hasMore) child = await this.#look(node, name);
      if (!child) return node;
      node.isOpen = true;
      node = child;
    }
    return node;
  }

  /** A child behind the pages that are loaded. */
  async #look(node, name) {
    const listing = await this.#list(pathOf([...node.names, name]), undefined, 1).catch(() => null);
    if (!listing || (listing.leaf === undefined && listing.children.length === 0)) return null;
    const child = new Node(name, node);
    if (listing.leaf !== undefined) child.become(listing.leaf);
    node.children.set(name, child);
    return child;
  }

  /** Applies a change of the stream. */
  apply(kind, path, data, seq) {
    const base = namesOf(path);
    const changes = kind === 'patch' ? Object.entries(data).map(([name, value]) => [[...base, ...namesOf(name)], value]) : [[base, data]];
    for (const [names, value] of changes) {
      this.#recent.push({ names, value, seq });
      this.#set(names, value, true);
    }
    this.#recent.splice(0, Math.max(this.#recent.length - KEPT, 0));
    this.applied += 1;
    this.isEmpty = !this.root.isLeaf && this.root.children?.size === 0;
    this.#told();
  }

  #set(names, value, flash) {
    let node = this.root;
    for (const [at, name] of names.entries()) {
      if (node.isLeaf && value === null) return;
      const wasLeaf = node.isLeaf;
      node.becomeContainer();
      if (!node.children) {
        if (node === this.root && wasLeaf) node.children = new Map();
        else return this.#deeper(node, value, flash);
      }
      const child = node.children.get(name);
      if (at === names.length - 1) return this.#replace(node, name, value, flash);
      if (!child) {
        if (value !== null) this.#add(node, name, flash);
        return;
      }
      node = child;
    }
    this.#assign(node, value, flash);
  }

  /** Something changed below a node whose children are not loaded. */
  #deeper(node, value, flash) {
    if (flash) node.changed = performance.now();
    if (value === null) this.#check(node);
  }

  #add(node, name, flash) {
    // It belongs to a page that is not loaded.
    if (node.hasMore && order(name, node.sorted().at(-1)?.name ?? '') > 0) return null;
    const child = new Node(name, node);
    if (flash) child.changed = performance.now();
    node.children.set(name, child);
    return child;
  }

  #replace(node, name, value, flash) {
    if (value === null) {
      if (node.children.delete(name)) this.#vanish(node, flash);
      return;
    }
    const child = node.children.get(name) ?? this.#add(node, name, flash);
    if (child) this.#assign(child, value, flash);
  }

  /** Gives a node its new value; of what was open below, what is still there stays open. */
  #assign(node, value, flash) {
    if (flash) node.changed = performance.now();
    if (!isContainer(value)) {
      if (node === this.root && value === null) {
        node.becomeContainer();
        node.children = new Map();
        return;
      }
      node.become(value);
      return;
    }
    node.becomeContainer();
    if (!node.children) {
      if (node === this.root) node.children = new Map();
      else return;
    }
    const known = node.children;
    node.children = new Map();
    node.hasMore = false;
    for (const [name, inner] of entries(value)) {
      const child = known.get(name) ?? new Node(name, node);
      const isSame = child.isLeaf && child.value === inner;
      this.#assign(child, inner, flash && !isSame);
      node.children.set(name, child);
    }
  }

  /** A node without children is nothing. */
  #vanish(node, flash) {
    if (flash) node.changed = performance.now();
    if (node.children.size || node.hasMore || !node.parent) return;
    node.parent.children.delete(node.name);
    this.#vanish(node.parent, flash);
  }

  /** Asks whether a node is still there. */
  async #check(node) {
    if (this.#checks.has(node.path)) return;
    this.#checks.add(node.path);
    const listing = await this.#list(node.path, undefined, 1).catch(() => null);
    this.#checks.delete(node.path);
    const isGone = listing && listing.leaf === undefined && listing.children.length === 0;
    if (isGone && node.parent?.children?.get(node.name) === node) {
      node.parent.children.delete(node.name);
      this.#vanish(node.parent, true);
      this.#told();
    }
  }
}
