import { total } from 'money';

/**
 * @param {import('@chuva.io/less').OrderPlaced} order
 * @param {import('@chuva.io/less').Context} context
 */
export async function process(order, context) {
  if (order.email.endsWith('.invalid')) context.reject(`${order.email} gets no mail`);
  console.log(`to ${order.email}: order ${order.order_id}, ${total(order.items)}`);
}
