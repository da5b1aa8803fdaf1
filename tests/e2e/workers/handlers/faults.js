const fs = require('node:fs');
const forever = () => new Promise(() => { setInterval(() => {}, 1000); });
const faults = {
  ok: () => {},
  throw: () => { throw new TypeError('thrown'); },
  reject: () => Promise.reject(new Error('rejected')),
  text: () => { throw 'only a text'; },
  uncaught: () => { setTimeout(() => { throw new Error('uncaught'); }, 1); return forever(); },
  unhandled: () => { Promise.reject(new Error('unhandled')); return forever(); },
  exit: () => process.exit(0),
  exit3: () => process.exit(3),
  segfault: () => { process.kill(process.pid, 'SIGSEGV'); return forever(); },
  loop: () => { for (;;); },
  hang: forever,
  memory: () => { const all = []; for (;;) all.push(new Array(1e6).fill(1.5)); },
  flood: () => { for (let i = 0; i < 20000; i++) console.log('x'.repeat(100)); },
  long_line: () => { console.error('y'.repeat(1 << 20)); },
  big: () => 10n,
  circle: () => { const a = {}; a.a = a; return a; },
  function: () => () => {},
  no: (context) => context.reject('no such user'),
  again: (context) => { if (context.attempt === 1) context.retryAfter('20ms'); },
};
exports.process = async (message, context) => {
  fs.appendFileSync('log', `${context.subscriber} ${message.n} ${context.attempt}\n`);
  return faults[message.do](context);
};
