/** Values by topic and partition. */
export class PartitionMap<Value> {
  readonly #topics = new Map<string, Map<number, Value>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(topic: string, partition: number): Value | undefined {
    return this.#topics.get(topic)?.get(partition)
  }

  of(topic: string): ReadonlyMap<number, Value> | undefined {
    return this.#topics.get(topic)
  }

  set(topic: string, partition: number, value: Value): void {
    const partitions = this.#partitionsOf(topic)
    const before = partitions.size
    partitions.set(partition, value)
    this.#size += partitions.size - before
  }

  /** Sets the value where there is none, or `isOlder` says that of the one there is. */
  replace(topic: string, partition: number, value: Value, isOlder: (current: Value) => boolean): void {
    const partitions = this.#partitionsOf(topic)
    const current = partitions.get(partition)
    if (current === undefined) this.#size++
    else if (!isOlder(current)) return
    partitions.set(partition, value)
  }

  #partitionsOf(topic: string): Map<number, Value> {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    return partitions
  }

  delete(topic: string, partition: number): boolean {
    const partitions = this.#topics.get(topic)
    if (partitions === undefined || !partitions.delete(partition)) return false
    this.#size--
    if (partitions.size === 0) this.#topics.delete(topic)
    return true
  }

  /** Topics in the order of their first value. */
  topics(): IterableIterator<[topic: string, partitions: ReadonlyMap<number, Value>]> {
    return this.#topics.entries()
  }

  *entries(): Generator<[topic: string, partition: number, value: Value]> {
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, value] of partitions) yield [topic, partition, value]
    }
  }
}
