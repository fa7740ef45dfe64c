// What the page says about each engine: its name, who may touch its data, what its figures mean, and which are not measured.

import { bytes, count } from './format.js';

const PAGE_CACHE = 'in the page cache';

/** In the order in which they are shown. `lacks` says why a figure is missing, `means` what it is where that differs. */
export const ENGINES = [
  {
    name: 'kv',
    title: 'Keys',
    rule: 'whoever locks the entry',
    means: {
      operations: 'Redis commands and API requests',
      p99: 'API requests; Redis commands are not timed',
      queued: 'operations that wait for a value',
    },
    lacks: { p99: 'no API requests' },
    facts: (kv) => [
      ['keys', count(kv.keys)],
      ['limit', kv.memory_limit_bytes ? bytes(kv.memory_limit_bytes) : 'none'],
      ['log records', count(kv.log_records)],
      ['syncs', count(kv.log_syncs)],
    ],
  },
  {
    name: 'blocks',
    title: 'Blocks',
    rule: 'one controller, many I/O workers',
    means: {
      operations: 'requests on its port',
      p99: 'from a commit to the end of the flush that made it durable',
      queued: 'PUTs that are not named yet',
    },
    lacks: { p99: 'no commits', memory: PAGE_CACHE },
    facts: (blocks) => [
      ['blocks', count(blocks.blocks)],
      ['content', bytes(blocks.content_bytes)],
      ['free', bytes(blocks.free_bytes)],
      ['syncs', count(blocks.log_syncs)],
    ],
  },
  {
    name: 'vectors',
    title: 'Vectors',
    rule: 'the thread that owns the shard',
    link: '#/vectors',
    means: {
      operations: 'API requests',
      p99: 'API requests',
      queued: 'messages in front of the shards',
    },
    lacks: { p99: 'no requests' },
    facts: (vectors) => {
      const collections = Object.values(vectors.collections);
      const busy = vectors.shards.map((shard) => shard.busy_share);
      return [
        ['collections', count(collections.length)],
        ['points', count(collections.reduce((sum, one) => sum + one.count, 0))],
        ['shards', count(vectors.shards.length)],
        ['busiest', `${(Math.max(0, ...busy) * 100).toFixed(1)}\u202f%`],
      ];
    },
  },
  {
    name: 'stm',
    title: 'Transactions',
    rule: "whoever's commit validates",
    means: { operations: 'API requests', p99: 'API requests' },
    lacks: { p99: 'no requests', queued: 'none: callers run them', memory: 'not measured' },
    facts: (stm) => {
      const contexts = Object.values(stm.contexts);
      const sum = (name) => count(contexts.reduce((total, one) => total + one[name], 0));
      return [
        ['contexts', count(contexts.length)],
        ['values', sum('values')],
        ['commits', sum('version')],
        ['undelivered', sum('undelivered')],
      ];
    },
  },
  {
    name: 'tree',
    title: 'Tree',
    rule: 'one writer beside many readers',
    link: '#/tree',
    means: {
      operations: 'HTTP requests',
      p99: 'HTTP requests; streams to their first byte',
      queued: 'jobs for the readers',
    },
    lacks: { p99: 'no requests', memory: PAGE_CACHE },
    facts: (tree) => [
      ['writes', count(tree.writes)],
      ['commits', count(tree.commits)],
      ['watches', count(tree.watches)],
      ['rules', tree.has_rules ? 'in force' : 'none'],
    ],
  },
];
