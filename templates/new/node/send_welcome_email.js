const { greeting } = require('greeting');

/** @param {import('@chuva.io/less').UserCreated} user */
exports.process = async (user) => {
  console.log(`to ${user.email}: ${greeting(user)}`);
};
