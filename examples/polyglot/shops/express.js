// A shop in Express: publishes to the running app.
const express = require('express');
const { topics } = require('@chuva.io/less');

const shop = express().use(express.json());

shop.post('/orders', async (request, response) => {
  try {
    const receipt = await topics.order_placed.publish(request.body, { key: request.body?.email });
    response.status(202).json({ message_id: receipt.messageId });
  } catch (error) {
    response.status(error.status ?? 500).json({ error: error.message, pointer: error.pointer });
  }
});

const server = shop.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`the Express shop listens on http://127.0.0.1:${server.address().port}`);
});
