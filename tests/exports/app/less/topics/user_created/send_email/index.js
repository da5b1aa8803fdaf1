exports.process = async () => {}
