/**
 * Does `work` for every item, begun in order, at most `limit` under way at once; the first of them before this returns.
 * Rejects with the first failure, while the others go on.
 */
export async function limited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = rest.next(); !next.done; next = rest.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: limit }, lane))
}
