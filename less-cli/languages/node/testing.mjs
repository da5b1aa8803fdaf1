import testing from './testing.js';

export const { load, context, recorded } = testing;
export default testing;
