/** @param {import('@chuva.io/less').{{module}}{{type}}} message */
exports.process = async (message) => {
  console.log(message);
};
