// A consumer with amqplib. An argument N acknowledges every Nth message, and with it those before (`allUpTo`); the last always.
const amqp = require('amqplib');
const clock = require('./clock.js');

const every = Number(process.argv[2] ?? 1);

async function main() {
  const connection = await amqp.connect(process.env.BENCH_AMQP);
  const channel = await connection.createChannel();
  await channel.prefetch(256);
  let handled = 0;
  await channel.consume(process.env.BENCH_QUEUE, async (message) => {
    JSON.parse(message.content);
    const last = clock.count();
    handled += 1;
    if (every === 1) channel.ack(message);
    else if (last || handled % every === 0) channel.ack(message, true);
    if (last) {
      clock.stop();
      // Closing sends what is buffered first.
      await channel.close();
      await connection.close();
    }
  });
}

main();
