// Numbers, sizes, times and JSON as text that is read at a glance. Sizes are in powers of 1024, as everywhere in Quintet.

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const NONE = '–';

/** Three digits and a unit; small numbers as they are. */
function scaled(value, step, units) {
  let at = 0;
  let rest = value;
  while (Math.abs(rest) >= step && at < units.length - 1) {
    rest /= step;
    at += 1;
  }
  const digits = at === 0 || Math.abs(rest) >= 100 ? 0 : Math.abs(rest) >= 10 ? 1 : 2;
  const text = String(Number(rest.toFixed(digits)));
  return units[at] ? `${text}\u202f${units[at]}` : text;
}

export function count(value) {
  return value === null || value === undefined ? NONE : GROUPED.format(value);
}

/** A rate per second: whole numbers are grouped, small ones keep a digit. */
export function rate(value) {
  if (value === null || value === undefined) return NONE;
  return value > 0 && value < 10 ? value.toFixed(1).replace(/\.0$/, '') : GROUPED.format(value);
}

export function bytes(value) {
  return value === null || value === undefined ? NONE : scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

/** An upper bound, in microseconds. */
export function atMost(us) {
  if (us === null || us === undefined) return NONE;
  if (us === Infinity) return 'over 1\u202fmin';
  return `≤\u202f${microseconds(us)}`;
}

export function microseconds(us) {
  return us < 1e6 ? scaled(us, 1000, ['µs', 'ms']) : `${(us / 1e6).toFixed(1).replace(/\.0$/, '')}\u202fs`;
}

/** Seconds as the two largest units. */
export function uptime(seconds) {
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  const found = units.findIndex(([, size]) => seconds >= size);
  const first = found < 0 ? units.length - 1 : found;
  let rest = seconds;
  const parts = units.map(([unit, size]) => {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    return `${whole}\u202f${unit}`;
  });
  return parts.slice(first, first + 2).join(' ');
}

export function clock(time) {
  return new Date(time).toLocaleTimeString('en-GB');
}

/** JSON whose integers keep every digit: those that a double cannot hold are BigInts. */
export function parse(text) {
  return JSON.parse(text, (_name, value, context) => {
    const source = context?.source;
    const loses = typeof value === 'number' && source && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    return loses ? BigInt(source) : value;
  });
}

/** One line of JSON. */
export function json(value) {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(json).join(',')}]`;
  if (value && typeof value === 'object') {
    return `{${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${json(inner)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** What a JSON value is called. */
export function kind(value) {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'bigint') return 'number';
  return typeof value;
}

/** Why a text is not JSON, without the engine's own preamble; empty = it is. */
export function fault(text) {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return error.message.replace(/^JSON\.parse: /, '');
  }
}
