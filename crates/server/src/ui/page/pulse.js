// Asks for the server's figures once a second while the page is seen, and keeps a quarter of an hour of them. Counters
// become rates by difference, and counted times the 99th percentile of the last seconds: what was before does not blur it.

import { Problem, access, call, hasToken, send } from './server.js';

const EVERY_MS = 1000;
const SLOWEST_MS = 5000;
/** How long samples are kept. */
export const KEPT_MS = 15 * 60_000;
/** What a percentile is taken over. */
const SPAN_MS = 10_000;
/** How often the state of the engines is asked for, in samples. */
const HEALTH_EVERY = 3;

/** The upper bound below which 99 of 100 of the answers between two counts stayed, in µs; null = there were none. */
export function percentile(bounds, before, after) {
  const counts = after.map((count, at) => count - (before?.[at] ?? 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0 || counts.some((count) => count < 0)) return null;
  const rank = Math.ceil(total * 0.99);
  let seen = 0;
  const at = counts.findIndex((count) => (seen += count) >= rank);
  return bounds[at] ?? Infinity;
}

/** What is drawn of one engine at one moment; null = not measured, or not known yet. */
function readings(now, before, earlier, seconds) {
  const rate = now.operations === undefined || !before ? null : (now.operations - before.operations) / seconds;
  return {
    operations: rate === null || rate < 0 ? null : rate,
    p99: now.counts && earlier?.counts ? percentile(now.bounds_us, earlier.counts, now.counts) : null,
    queued: now.queued ?? null,
    memory: now.memory_bytes ?? null,
    disk: now.disk_bytes ?? null,
  };
}

/** Tells `sample` with each answer and `state` when the connection changes. */
class Pulse extends EventTarget {
  samples = [];
  stats = null;
  health = null;
  version = null;
  /** `asking`, `live`, `gone`, `refused` or `paused`. */
  state = 'asking';
  #timer = 0;
  #failures = 0;
  #round = 0;
  #paused = false;

  start() {
    document.addEventListener('visibilitychange', () => this.#again(0));
    access.addEventListener('changed', () => this.#again(0));
    this.#again(0);
  }

  get isPaused() {
    return this.#paused;
  }

  pause(paused) {
    this.#paused = paused;
    this.#enter(paused ? 'paused' : 'asking');
    this.#again(0);
  }

  /** When the next try is due, for who waits. */
  #again(delay) {
    clearTimeout(this.#timer);
    if (document.hidden || this.#paused) return;
    this.#timer = setTimeout(() => this.#ask(), delay);
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  async #ask() {
    const began = Date.now();
    this.#round += 1;
    const round = this.#round;
    try {
      this.version ??= await call('GET', '/version');
      const stats = await call('GET', '/stats');
      if (!this.health || round % HEALTH_EVERY === 0 || this.state !== 'live') await this.#askHealth();
      if (round !== this.#round || this.#paused) return;
      this.#failures = 0;
      this.#keep(stats);
      this.#enter('live');
      this.dispatchEvent(new Event('sample'));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (round !== this.#round || this.#paused) return;
      this.#failures += 1;
      if (error.isGone) this.version = null;
      this.#enter(error.status === 401 ? 'refused' : 'gone');
      // Without a token there is nothing to ask for; another one asks again.
      if (error.status === 401 && !hasToken()) return;
    }
    const slower = Math.min(EVERY_MS * 2 ** Math.max(this.#failures - 1, 0), SLOWEST_MS);
    this.#again(Math.max(slower - (Date.now() - began), 100));
  }

  async #askHealth() {
    const response = await send('GET', '/readyz', { also: [503] });
    this.health = await response.json();
  }

  #keep(stats) {
    const now = Date.now();
    const last = this.samples.at(-1);
    // Another process counts from zero again.
    const isSame = last && this.stats && stats.uptime_s >= this.stats.uptime_s;
    const from = this.samples.findLast((sample) => now - sample.time >= SPAN_MS) ?? this.samples[0];
    const seconds = last ? (now - last.time) / 1000 : 1;
    const sample = { time: now, vitals: {}, readings: {}, resident: stats.resident_bytes };
    for (const [name, figures] of Object.entries(stats.engines)) {
      if (!figures.vitals) continue;
      sample.vitals[name] = figures.vitals;
      const before = isSame ? last.vitals[name] : null;
      const earlier = isSame ? from?.vitals[name] : null;
      sample.readings[name] = readings(figures.vitals, before, earlier, seconds);
    }
    if (!isSame && this.samples.length) this.samples.push({ time: now - 1, vitals: {}, readings: {} });
    this.samples.push(sample);
    this.stats = stats;
    const first = this.samples.findIndex((kept) => now - kept.time <= KEPT_MS);
    if (first > 0) this.samples.splice(0, first);
  }
}

/** The one of this page. */
export const pulse = new Pulse();
