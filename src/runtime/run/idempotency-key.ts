/**
 * Idempotency key: what an effect of a task is known by outside: `task/place`, the same in every run.
 *
 * Ids and names may hold slashes, so `x/step:y` + `step:z` and `x` + `step:y/step:z` would be one key. Where a place holds
 * what a place begins with after a slash, that slash is written `%2F`: so the last such beginning of a key is where its
 * place begins, and no two are alike. Ids, and places without that, stand as they are.
 */

/** The beginnings of places that have keys, and what they are escaped to, once or more often. */
const WITHIN = /(?:\/|%(?:25)*2F)(?=(?:call|hold|step|undo):)/g;

export function idempotencyKeyOf(id: string, place: string): string {
  return `${id}/${place.replace(WITHIN, (slash) => (slash === '/' ? '%2F' : `%25${slash.slice(1)}`))}`;
}

/** The place that the key of that task was made of. */
export function placeOfKey(id: string, key: string): string {
  return key.slice(id.length + 1).replace(WITHIN, (slash) => (slash === '%2F' ? '/' : `%${slash.slice('%25'.length)}`));
}
