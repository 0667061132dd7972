/** How many records were converted between message formats: Kafka's ProduceMessageConversionsPerSec and FetchMessageConversionsPerSec. */

export interface ConversionCounts {
  /** Records that a producer sent in an older format or with another codec than the topic's, and were written anew. */
  readonly produceMessageConversions: number
  /** Records that were converted to an older format for a consumer. */
  readonly fetchMessageConversions: number
  /** Fetches of a partition that were refused because its records may not or cannot be converted. */
  readonly failedFetchMessageConversions: number
}

type Counts = { -readonly [N in keyof ConversionCounts]: ConversionCounts[N] }

const zero = (): Counts => ({
  produceMessageConversions: 0,
  fetchMessageConversions: 0,
  failedFetchMessageConversions: 0,
})

/** Counts since the start, of each topic and of all. */
export class MessageConversions {
  private readonly all = zero()
  private readonly topics = new Map<string, Counts>()

  get total(): ConversionCounts {
    return this.all
  }

  ofTopic(topic: string): ConversionCounts {
    return this.topics.get(topic) ?? zero()
  }

  add(topic: string, name: keyof ConversionCounts, count: number): void {
    if (count === 0) return
    const counts = this.topics.get(topic) ?? zero()
    this.topics.set(topic, counts)
    counts[name] += count
    this.all[name] += count
  }

  /** The topic is gone. */
  forget(topic: string): void {
    this.topics.delete(topic)
  }
}
