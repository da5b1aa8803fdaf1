'use strict';

// The one instance: `import` comes here too, through index.mjs.

const app = require('./app.json');
const { Reject, RetryAfter, PublishError, PublishManyError } = require('./client/errors.js');
const { topicsOf } = require('./client/topics.js');

module.exports = { topics: topicsOf(app), Reject, RetryAfter, PublishError, PublishManyError };
