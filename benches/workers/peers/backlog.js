// The queue of the peers:
//   backlog.js fill   declares it and publishes BENCH_TOTAL persistent messages, each confirmed
//   backlog.js check  ends with an error unless it is empty; what a consumer did not acknowledge is back in it once its connection is closed
const amqp = require('amqplib');

// Confirms that are awaited at a time.
const WINDOW = 1000;

async function fill(connection, queue, bodies) {
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true });
  for (let number = 1; number <= bodies; number += 1) {
    channel.sendToQueue(queue, Buffer.from(body(number)), { persistent: true, contentType: 'application/json' });
    if (number % WINDOW === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  const { messageCount } = await channel.checkQueue(queue);
  if (messageCount !== bodies) throw new Error(`${messageCount} of ${bodies} messages are in the queue`);
}

async function check(connection, queue) {
  const channel = await connection.createChannel();
  const { messageCount, consumerCount } = await channel.checkQueue(queue);
  if (messageCount !== 0 || consumerCount !== 0) {
    throw new Error(`${messageCount} messages are left, ${consumerCount} consumers are there`);
  }
}

// 256 bytes of JSON. driver/less_run.py and ceiling/player.py make the same.
function body(number) {
  const start = `{"number":${number},"text":"`;
  return `${start}${'x'.repeat(256 - start.length - 2)}"}`;
}

async function main() {
  const connection = await amqp.connect(process.env.BENCH_AMQP);
  const queue = process.env.BENCH_QUEUE;
  if (process.argv[2] === 'fill') await fill(connection, queue, Number(process.env.BENCH_TOTAL));
  else await check(connection, queue);
  await connection.close();
}

main();
