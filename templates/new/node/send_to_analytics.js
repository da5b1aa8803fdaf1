/**
 * @param {import('@chuva.io/less').UserCreated} user
 * @param {import('@chuva.io/less').Context} context
 */
exports.process = async (user, context) => {
  console.log(`user ${user.user_id}, attempt ${context.attempt}`);
};
