/** What some items cost, as a text. */
export const total = (items) =>
  `${items.reduce((sum, item) => sum + item.quantity * item.price, 0).toFixed(2)} €`;
