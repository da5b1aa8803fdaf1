'use strict';

const { PublishError } = require('./errors.js');

/** The error that a problem document (RFC 9457) stands for. */
function fromProblem(problem, topic) {
  const { type, status, detail, title, ...more } = typeof problem === 'object' && problem !== null ? problem : {};
  // Names of our own are not overwritten by what a server adds.
  for (const name of ['message', 'stack', 'name', 'hint', 'cause', '__proto__']) delete more[name];
  const what = typeof detail === 'string' && detail ? detail : `the app refused the message: ${title ?? status ?? 'it said nothing more'}`;
  return new PublishError(what, { ...more, type, status: Number(status) || undefined, hint: hint(type, more, topic) });
}

function hint(type, more, topic) {
  switch (type) {
    case 'urn:less:does-not-fit':
      return `compare ${more.pointer ? `\`${more.pointer}\`` : 'the message'} with \`${more.message_type ?? 'the message type'}\` of \`less/topics/${topic}\``;
    case 'urn:less:unknown-topic':
      return more.nearest
        ? `publish to \`${more.nearest}\`, or run \`less build\``
        : `run \`less build\`, and see that LESS_URL names the right app`;
    case 'urn:less:no-api-key':
    case 'urn:less:wrong-api-key':
      return 'set LESS_API_KEY to the key that the app was started with';
    case 'urn:less:too-large':
      return `store what is large elsewhere, and publish where it is${raise(more.setting, topic)}`;
    case 'urn:less:wrong-app':
      return 'set LESS_URL to where the app that is meant runs';
    case 'urn:less:unknown-host':
      return 'add the host to `[http] hosts` in less.toml';
    case 'urn:less:busy':
    case 'urn:less:full':
      return 'nothing was stored: try again later';
    case 'urn:less:unavailable':
      return 'publish it again; with the same `idempotencyKey` both times it is stored once';
    default:
      return undefined;
  }
}

/** How the limit that was met gets larger, where the app says which one it was. */
function raise(setting, topic) {
  switch (setting) {
    case 'max_message':
      return `; or raise \`max_message\` in less/topics/${topic}/topic.toml, up to "1MiB"`;
    case 'max_body':
      return '; or raise `max_body` in `[http]` of less.toml';
    default:
      return '';
  }
}

module.exports = { fromProblem };
