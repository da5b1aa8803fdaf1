// What is right compiles; every line that ends in `refused` has an error, and no other line.
import { topics, Reject, RetryAfter, PublishError, PublishManyError } from '@chuva.io/less';
import type { Class, Context, external_topics, Json, PromiseMessage, Receipt, Topic, Tree, UserCreated } from '@chuva.io/less';

const address: UserCreated.Address = { street: 'Rua 1' };
const contact: UserCreated.Contact = { kind: 'mail', to: 'ada@example.com' };
const user: UserCreated = { user_id: 1, email: 'ada@example.com', role: 'admin', address, contact };

export async function good(): Promise<void> {
  const receipt: Receipt = await topics.user_created.publish(user, { key: 'ada', delay: '5m', attributes: { a: 'b' }, idempotencyKey: 'x' });
  const id: string = receipt.messageId;
  const again: boolean = receipt.duplicate;
  const many: Receipt[] = await topics.user_created.publishMany([user, { ...user, born: null, friends: [user], more: [1, { a: null }] }], { delay: 250 });
  await topics.user_created.publishMany([user], { key: (message) => message.email, idempotencyKey: (message, index) => `${message.user_id}-${index}` });
  await topics.anything.publish({ any: ['json', 1, null] });
  await topics.class.publish({} as Class);
  await topics.context.publish({ topic: 'x' });
  await topics.UserMoved.publish({ to: 'Lisbon' });
  await topics.nothing.publish({});
  // Types that would hide what the client's are made of have other names.
  const promise: PromiseMessage = { to: 'x' };
  await Promise.all([topics.promise.publish(promise), topics.none.publish(promise), topics.exception.publish(promise), topics.record.publish(promise)]);
  await topics.Key.publish(promise);
  await topics.nameless.publish({ '': 'x', a: 1 });
  await topics.promise.publish({ to: 1 }); // a wrong type where the name is another: refused
  const topic: Topic<UserCreated> = topics.user_created;
  console.log(id, again, many, topic.id);
}

const hostile: Class[keyof Class] = 'text';
const names: (keyof Class)[] = ['class', 'type', 'self', '__proto__', 'constructor', 'new', 'a"b', 'a*/b', 'a\\b', 'a\nb', '\u2028', 'größe'];

const tree: Tree = {
  kind: 'node',
  left: { kind: 'leaf', value: null, either: 'nothing' },
  right: { kind: 'leaf', value: { x: 1 }, either: { some: { kind: 'leaf' } } },
  all: [[], [[]]],
};

export function depth(node: Tree): number {
  return node.kind === 'node' ? 1 + Math.max(depth(node.left), depth(node.right)) : 0;
}

export async function process(message: UserCreated, context: Context): Promise<void> {
  const where: string = message.contact.kind === 'mail' ? message.contact.to : message.contact.number;
  const born: string | null | undefined = message.born;
  const at: number = context.publishedAt.getTime() + context.attempt;
  console.log(where, born, at, context.messageId, context.topic, context.subscriber, context.key, context.attributes['a'], context.traceparent);
  context.signal.addEventListener('abort', () => console.log('over'));
  if (message.role === 'guest') context.reject('no guests');
  if (context.attempt > 3) context.retryAfter('5m');
  if (!message.name) throw new Reject('no name');
  if (message.name === 'x') throw new RetryAfter(1000);
}

type TheirUserCreated = external_topics.ums.UserCreated;

export async function processTheirs(message: TheirUserCreated, context: Context): Promise<external_topics.ums.ContextMessage> {
  const theirs: external_topics.ums.UserCreated.Address = message.address;
  const id: string = message.user_id;
  const only: external_topics.class_.UserCreated = { only: theirs.street };
  const node: external_topics.ums.Tree = tree;
  return { topic: only.only + id + context.topic + depth(node) };
}

export function handled(error: unknown): Json {
  if (error instanceof PublishManyError) return error.results.map((one) => (one instanceof PublishError ? one.type : one.messageId));
  if (error instanceof PublishError) return [error.type, error.status ?? 0, error.pointer ?? '', error.nearest ?? '', error.hint ?? ''];
  return null;
}

console.log(hostile, names, tree);

export async function bad(context: Context): Promise<void> {
  await topics.user_craeted.publish(user); // a misspelt topic: refused
  await topics.user_created.publish({ ...user, user_id: '1' }); // a wrong field type: refused
  await topics.user_created.publish({ user_id: 1, email: 'x', role: 'admin', address }); // a missing field: refused
  await topics.user_created.publish({ user_id: 1, email: 'x', role: 'admin', address, contact, emial: 'x' }); // an unknown field: refused
  await topics.user_created.publish({ ...user, role: 'root' }); // none of the enum's: refused
  await topics.user_created.publish({ ...user, contact: { kind: 'phone', to: 'x' } }); // another variant's field: refused
  await topics.user_created.publish({ ...user, name: null }); // not nullable: refused
  await topics.user_created.publish(user, { dealy: '5m' }); // an unknown option: refused
  await topics.user_created.publishMany([user, {}]); // a wrong message among others: refused
  await topics.anything.publish(undefined); // no JSON: refused
  await topics.nothing.publish({ a: 1 }); // an unknown field of an empty object: refused
  context.attempt = 2; // read-only: refused
  const leaf: Tree = { kind: 'leaf', left: tree }; // a field of another variant: refused
  console.log(leaf);
}

export async function badTheirs(message: TheirUserCreated): Promise<UserCreated> {
  const id: number = message.user_id; // the other app's type: refused
  console.log(id, message.emial); // an unknown field: refused
  await topics.user_created.publish(message); // the other app's message: refused
  await external_topics.ums.user_created.publish(message); // nobody publishes there: refused
  return message; // two types of one name: refused
}
