import less from './index.js';

export const { topics, Reject, RetryAfter, PublishError, PublishManyError } = less;
export default less;
