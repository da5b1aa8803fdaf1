/** Why a handler can't be loaded, in words for the user. */
export class LoadError extends Error {
  name = 'LoadError';
}
