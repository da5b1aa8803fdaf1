// Counts, and keeps the clock of the run: see README.md. It uses nothing of this folder's neighbours, as a user's handler would not.
const { existsSync, renameSync, writeFileSync } = require('node:fs');

const total = Number(process.env.BENCH_TOTAL);
const warmUp = Number(process.env.BENCH_WARM_UP);
let handled = 0;
let begun = 0n;
let going = false;
let gate;

// Until the file is there, which says that the backlog is.
function go() {
  gate ??= new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!existsSync(process.env.BENCH_GO)) return;
      clearInterval(timer);
      going = true;
      resolve();
    }, 10);
  });
  return gate;
}

exports.process = async () => {
  if (!going) await go();
  handled += 1;
  if (handled === warmUp) begun = process.hrtime.bigint();
  if (handled === total) {
    const file = process.env.BENCH_RESULT;
    const times = { begun: String(begun), ended: String(process.hrtime.bigint()), runtime: `Node.js ${process.version}` };
    writeFileSync(`${file}.part`, JSON.stringify(times));
    renameSync(`${file}.part`, file);
  }
};
