/** How the app greets a user. */
exports.greeting = (user) => `Welcome, ${user.name}!`;
