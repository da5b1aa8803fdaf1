exports.process = async (message) => {
  console.log(message);
};
