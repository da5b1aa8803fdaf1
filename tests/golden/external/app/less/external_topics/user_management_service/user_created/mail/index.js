/** @param {import('@chuva.io/less').external_topics.user_management_service.UserCreated} message */
exports.process = async (message) => {
  console.log(message.email);
};
