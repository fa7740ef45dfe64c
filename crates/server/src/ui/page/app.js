// The page's frame: which section the address names, how the connection is, and the token. Each section is a function that
// shows itself in a place until a signal ends, and may answer a function that takes another address of the same section.

import { button, field, make } from './element.js';
import { overview } from './overview.js';
import { pulse } from './pulse.js';
import { access, hasToken, useToken } from './server.js';
import { tree } from './tree.js';
import { vectors } from './vectors.js';

const SECTIONS = { '': ['Overview', overview], tree: ['Tree', tree], vectors: ['Vectors', vectors] };
const CONNECTION = { asking: 'Connecting', live: 'Live', gone: 'Server gone, trying again', refused: 'A token is needed', paused: 'Paused' };

const content = document.getElementById('content');
const link = document.getElementById('link');
const tokenButton = document.getElementById('token');

/** The section and the names behind it, decoded. */
function address() {
  const [section = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  const names = rest.filter(Boolean).map((name) => {
    try {
      return decodeURIComponent(name);
    } catch {
      return name;
    }
  });
  return { section: section in SECTIONS ? section : '', names };
}

let shown = null;

function route() {
  const { section, names } = address();
  if (shown?.section === section) {
    shown.go?.(names);
    return;
  }
  shown?.end.abort();
  const [title, show] = SECTIONS[section];
  const end = new AbortController();
  document.title = section ? `${title} – Quintet` : 'Quintet';
  for (const one of document.querySelectorAll('#sections a')) {
    if (one.getAttribute('href') === `#/${section}`) one.setAttribute('aria-current', 'page');
    else one.removeAttribute('aria-current');
  }
  const isFirst = shown === null;
  shown = { section, end, go: show(content, end.signal, names) };
  // Who came by a link goes on in the new section; who opened the page is left where they are.
  if (!isFirst) content.focus({ preventScroll: true });
}

/** Asks for the token. */
function askToken() {
  if (document.querySelector('dialog[open]')) return;
  const input = make('input', { type: 'password', autocomplete: 'off', spellcheck: 'false' });
  const hint = make('p', { class: 'hint' }, 'It is kept in this tab until the tab is closed, and sent to this server alone.');
  const use = () => {
    dialog.close();
    useToken(input.value.trim());
  };
  const dialog = make(
    'dialog',
    { 'aria-label': 'Token', onclose: () => dialog.remove() },
    make('h2', {}, 'This server asks for a token'),
    field('Token', input, hint),
    make(
      'div',
      { class: 'actions' },
      button('Cancel', () => dialog.close()),
      hasToken() && button('Forget it', () => { input.value = ''; use(); }),
      button('Use it', use, { class: 'primary' }),
    ),
  );
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') use();
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}

let wasAsked = false;

access.addEventListener('refused', () => {
  tokenButton.hidden = false;
  // Asked for once; after that the button is there.
  if (!wasAsked) askToken();
  wasAsked = true;
});
access.addEventListener('changed', () => {
  wasAsked = !hasToken();
});
tokenButton.hidden = !hasToken();
tokenButton.addEventListener('click', askToken);

function connection() {
  link.textContent = CONNECTION[pulse.state];
  link.dataset.state = pulse.state;
  document.body.classList.toggle('stale', pulse.state === 'gone');
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  content.focus();
});
window.addEventListener('hashchange', route);
pulse.addEventListener('state', connection);
connection();
route();
pulse.start();
