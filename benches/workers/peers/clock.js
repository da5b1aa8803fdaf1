// The clock of a run: from when message BENCH_WARM_UP is handled until `stop`, which every consumer calls at its last acknowledgement.
const total = Number(process.env.BENCH_TOTAL);
const warmUp = Number(process.env.BENCH_WARM_UP);
let handled = 0;
let begun = 0n;

// To be called by the handler. True for the last message.
exports.count = () => {
  handled += 1;
  if (handled === warmUp) begun = process.hrtime.bigint();
  return handled === total;
};

// Prints the record of the run.
exports.stop = () => {
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  const record = {
    system: process.env.BENCH_SYSTEM,
    round: Number(process.env.BENCH_ROUND),
    messages: total - warmUp,
    seconds,
    runtime: `Node.js ${process.version}`,
  };
  console.log(JSON.stringify(record));
};
