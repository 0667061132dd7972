/** How often something is there; what is not there any more is not in the map. */
export type Counts = Map<string, number>

export function count(counts: Counts, name: string, change: 1 | -1): void {
  const now = (counts.get(name) ?? 0) + change
  if (now <= 0) counts.delete(name)
  else counts.set(name, now)
}

/** How many members name a topic, and how many regular expressions match it. */
export interface TopicCount {
  readonly byName: number
  readonly byRegex: number
}

export class TopicCounts {
  readonly #counts: Map<string, TopicCount>

  constructor(counts: Iterable<[string, TopicCount]> = []) {
    this.#counts = new Map(counts)
  }

  copy(): TopicCounts {
    return new TopicCounts(this.#counts)
  }

  has(topic: string): boolean {
    return this.#counts.has(topic)
  }

  names(): IterableIterator<string> {
    return this.#counts.keys()
  }

  values(): IterableIterator<TopicCount> {
    return this.#counts.values()
  }

  addNames(topics: Iterable<string>, change: 1 | -1): void {
    for (const topic of topics) {
      const { byName, byRegex } = this.#get(topic)
      this.#set(topic, { byName: Math.max(byName + change, 0), byRegex })
    }
  }

  addMatches(topics: Iterable<string>, change: 1 | -1): void {
    for (const topic of topics) {
      const { byName, byRegex } = this.#get(topic)
      this.#set(topic, { byName, byRegex: Math.max(byRegex + change, 0) })
    }
  }

  #get(topic: string): TopicCount {
    return this.#counts.get(topic) ?? { byName: 0, byRegex: 0 }
  }

  #set(topic: string, next: TopicCount): void {
    if (next.byName === 0 && next.byRegex === 0) this.#counts.delete(topic)
    else this.#counts.set(topic, next)
  }
}

/** Do all members subscribe to the same topics? Source: ConsumerGroup.subscriptionType (4.1). */
export function isHomogeneous(topics: TopicCounts, regexes: Counts, members: number): boolean {
  const [anyRegex] = regexes.values()
  if (anyRegex === undefined) {
    for (const { byName } of topics.values()) if (byName !== members) return false
    return true
  }
  // One regular expression for all of them, and nothing by name.
  if (anyRegex !== members) return false
  for (const { byName, byRegex } of topics.values()) if (byRegex !== 1 || byName > 0) return false
  return true
}
