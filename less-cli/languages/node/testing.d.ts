import type { Context } from './index.js';

/** The function `process` of `'topic/subscriber'`, or `'app:topic/subscriber'` for another app's topic, loaded as a worker loads it. */
export function load<M = any>(subscriber: string): Promise<(message: M, context?: Context) => any>;

/** A Context for a handler. A message id of its own, the first attempt, published now, unless it is said otherwise. */
export function context(fields?: {
  messageId?: string;
  topic?: string;
  subscriber?: string;
  attempt?: number;
  publishedAt?: Date;
  key?: string;
  attributes?: Readonly<Record<string, string>>;
  traceparent?: string;
}): Context;

/** A message that was published inside of `recorded`, as subscribers would get it, with the options that it was given. */
export interface Published {
  topic: string;
  message: any;
  key?: string;
  /** In milliseconds. */
  delay?: number;
  attributes?: Record<string, string>;
  idempotencyKey?: string;
  traceparent?: string;
}

/**
 * Calls `work`, and waits for it. What it publishes meanwhile goes to no app, but to the array that it gets and that this resolves to, in order.
 * Messages and options are checked as always, except for the message type, which the app checks.
 */
export function recorded(work: (published: Published[]) => unknown): Promise<Published[]>;
