// Talks to the server: JSON, problems as errors, the token, and event streams. EventSource has no headers, so streams are
// read from fetch. The token is kept for this tab alone and sent in a header, never in an address.

import { json, parse } from './format.js';

const KEY = 'token';
const PATIENCE_MS = 15_000;

let token = null;
try {
  token = sessionStorage.getItem(KEY);
} catch {
  // Without storage the token lasts as long as the page.
}

/** Tells of `refused` (a token is needed or is wrong) and `changed` (there is another token). */
export const access = new EventTarget();

export function hasToken() {
  return token !== null;
}

/** Uses a token from now on; `null` forgets it. */
export function useToken(next) {
  token = next || null;
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
  access.dispatchEvent(new Event('changed'));
}

/** An answer that is no success. */
export class Problem extends Error {
  constructor(status, detail, body) {
    super(detail);
    this.status = status;
    this.body = body;
  }

  /** No answer at all: the server is away, or the network is. */
  get isGone() {
    return this.status === 0;
  }
}

async function problemOf(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    return new Problem(response.status, body.detail ?? body.error ?? response.statusText, body);
  } catch {
    return new Problem(response.status, text || response.statusText, null);
  }
}

/**
 * Sends a request and answers the response of a success, or of a status in `also`.
 * @throws {Problem} for every other status, and with status 0 when there is no answer.
 */
export async function send(method, path, { body, headers = {}, signal, also = [], patient = false } = {}) {
  const all = { ...headers };
  if (token) all.authorization = `Bearer ${token}`;
  if (body !== undefined) all['content-type'] = 'application/json';
  const signals = [signal, patient ? null : AbortSignal.timeout(PATIENCE_MS)].filter(Boolean);
  let response;
  try {
    response = await fetch(path, {
      method,
      body,
      headers: all,
      cache: 'no-store',
      credentials: 'omit',
      signal: signals.length ? AbortSignal.any(signals) : undefined,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, 'The server does not answer.', null);
  }
  if (response.ok || also.includes(response.status)) return response;
  const problem = await problemOf(response);
  if (problem.status === 401) access.dispatchEvent(new Event('refused'));
  throw problem;
}

/** A request whose answer is JSON. */
export async function call(method, path, body, options = {}) {
  const text = body === undefined ? undefined : json(body);
  const response = await send(method, path, { ...options, body: text });
  return parse(await response.text());
}

/**
 * Reads a stream of events until it ends: calls `opened` when it begins, and `told` with name, data and id of each.
 * @throws {Problem} when there is no stream.
 */
export async function follow(path, { signal, opened, told }) {
  const response = await send('GET', path, { headers: { accept: 'text/event-stream' }, signal, patient: true });
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = { name: 'message', data: [], id: '' };
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (signal?.aborted) throw error;
      throw new Problem(0, 'The stream broke off.', null);
    });
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (event.data.length) told(event.name, event.data.join('\n'), event.id);
        event = { name: 'message', data: [], id: event.id };
        continue;
      }
      const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
      if (name === 'event') event.name = text;
      else if (name === 'data') event.data.push(text);
      else if (name === 'id') event.id = text;
    }
  }
}
