/** What is there at once wherever it can be: a promise costs a turn of the loop. */
export type Later<T> = T | Promise<T>

export function andThen<T, U>(value: Later<T>, use: (value: T) => Later<U>): Later<U> {
  return value instanceof Promise ? value.then(use) : use(value)
}
