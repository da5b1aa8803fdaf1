/** Any JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A topic of the app. */
export interface Topic<M> {
  /** Its id: its folder's name. */
  readonly id: string;
  /** Publishes a message: resolves once it is on stable storage. Rejects with a PublishError. */
  publish(message: M, options?: PublishOptions): Promise<Receipt>;
  /** Publishes many messages, in their order. Not atomic: rejects with a PublishManyError, which says what was accepted. */
  publishMany(messages: readonly M[], options?: PublishManyOptions<M>): Promise<Receipt[]>;
}

/** How to publish. */
export interface PublishOptions {
  /** Messages with one key are handled one after the other, in the order in which they were published; 1 to 128 bytes. */
  key?: string | null;
  /** Delivered no earlier than this long from now: `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"` or milliseconds; at most 365 days. */
  delay?: string | number | null;
  /** At most 10. */
  attributes?: Readonly<Record<string, string>> | null;
  /** Stored once, however often it is published with this key within 24 hours; 1 to 128 bytes. */
  idempotencyKey?: string | null;
  /** The W3C trace parent that handlers see. */
  traceparent?: string | null;
}

/** How to publish many: each message may have its own key. */
export interface PublishManyOptions<M> extends Omit<PublishOptions, 'key' | 'idempotencyKey'> {
  key?: string | null | ((message: M, index: number) => string | null | undefined);
  idempotencyKey?: string | null | ((message: M, index: number) => string | null | undefined);
}

/** A message is on stable storage. */
export interface Receipt {
  readonly messageId: string;
  /** Whether the idempotency key was seen before: nothing new was stored, and the id is the first message's. */
  readonly duplicate: boolean;
}

/** The second argument of a handler: `process(message, context)`. */
export interface Context {
  readonly messageId: string;
  readonly topic: string;
  readonly subscriber: string;
  /** From 1. */
  readonly attempt: number;
  readonly publishedAt: Date;
  readonly key: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  readonly traceparent: string | undefined;
  /** Aborted when the attempt's time is over. */
  readonly signal: AbortSignal;
  /** Makes the message a dead letter at once. */
  reject(reason: string): never;
  /** Asks for the next attempt after this long: `"5m"` or milliseconds. */
  retryAfter(delay: string | number): never;
  /** The fields, but for the signal: for logs. */
  toJSON(): Record<string, unknown>;
}

/** Thrown by a handler: the message becomes a dead letter at once. */
export class Reject extends Error {
  constructor(reason?: string);
}

/** Thrown by a handler: the next attempt comes after this long: `"5m"` or milliseconds. */
export class RetryAfter extends Error {
  constructor(delay: string | number);
}

/** A message was not accepted. */
export class PublishError extends Error {
  /** Which kind, such as `urn:less:does-not-fit`. */
  readonly type: string;
  /** The status that HTTP has for it. */
  readonly status?: number;
  /** Where in the message, as a JSON pointer. */
  readonly pointer?: string;
  /** The topic that was probably meant. */
  readonly nearest?: string;
  /** What to do. */
  readonly hint?: string;
}

/** Not every message of a `publishMany` was accepted. */
export class PublishManyError extends Error {
  /** One for each message, in their order. */
  readonly results: (Receipt | PublishError)[];
}
