/** @param {import('@chuva.io/less').{{type}}} message */
exports.process = async (message) => {
  console.log(message);
};
