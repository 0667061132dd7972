/** The internal topic of a coordinator: made when it is first needed, and which of its partitions a key belongs to. */
import type { Logger } from '../env/env.ts'
import type { CoordinatorLog } from './coordinator-log.ts'
import { partitionFor } from './partition-for.ts'

export interface CoordinatorTopicParts {
  readonly name: string
  readonly log: CoordinatorLog
  readonly logger: Logger
  readonly metadata: {
    /** undefined for a topic that does not exist. */
    partitionCount(topic: string): number | undefined
  }
  /** Used until the topic's own count is known. */
  readonly configuredPartitions: number
}

export class CoordinatorTopic {
  readonly #parts: CoordinatorTopicParts
  /** As first heard of: keys must not move when partitions are added (as in Kafka). */
  #partitionCount: number | undefined

  constructor(parts: CoordinatorTopicParts) {
    this.#parts = parts
  }

  /** Creates the topic when it is missing. False: it cannot be created now. */
  async ensure(): Promise<boolean> {
    const { name, log, logger } = this.#parts
    try {
      const count = await log.ensureTopic()
      // Fewer: somebody deleted the topic, and it was made anew.
      if (this.#partitionCount === undefined || count < this.#partitionCount) this.#partitionCount = count
      return true
    } catch (error) {
      logger.log('warn', `cannot create ${name}`, { reason: String(error) })
      return false
    }
  }

  partitionFor(key: string): number {
    const { name, metadata, configuredPartitions } = this.#parts
    this.#partitionCount ??= metadata.partitionCount(name)
    return partitionFor(key, this.#partitionCount ?? configuredPartitions)
  }
}
