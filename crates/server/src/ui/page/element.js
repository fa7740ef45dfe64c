// Makes elements from values, never from markup: the page's policy forbids text that becomes markup.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** An HTML element. Attributes that begin with `on` are listeners; `null` and `false` leave an attribute or a child out. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

/** A button that is none of a form. */
export function button(text, onclick, attributes = {}) {
  return make('button', { type: 'button', onclick, ...attributes }, text);
}

let ids = 0;

/** A label over a control; the control gets an id if it has none. */
export function field(text, control, hint) {
  control.id ||= `control-${(ids += 1)}`;
  const parts = [make('label', { for: control.id }, text), control];
  if (hint) {
    hint.id ||= `hint-${(ids += 1)}`;
    control.setAttribute('aria-describedby', hint.id);
    parts.push(hint);
  }
  return make('div', { class: 'field' }, parts);
}

/** Says something to who hears the page instead of seeing it. */
export function announce(text) {
  document.getElementById('announcer').textContent = text;
}

/** Asks for a yes in a dialog; answers whether it came. */
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = make(
      'dialog',
      { 'aria-label': question, onclose: () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); } },
      make('p', {}, question),
      make(
        'div',
        { class: 'actions' },
        button('Cancel', () => dialog.close('no')),
        button(yes, () => dialog.close('yes'), { class: 'danger' }),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
