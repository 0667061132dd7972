/** What the producers of a history did, by transaction: what each has sent, and how it ended. */
import type { LogRecord, Observation, Source } from './history.ts'

export interface Write {
  partition: string
  writingUs: number
  source: Source | null
  /** Null until it is acknowledged; negative where the client was not told. */
  offset: number | null
}

export interface Transaction {
  name: string
  producer: string
  life: string
  number: number
  /** By index. */
  writes: Map<number, Write>
  offsets: { group: string; partition: string; offset: number }[]
  /** Null where that has not happened. */
  committingUs: number | null
  committedUs: number | null
  abortedUs: number | null
}

type ProducerObservation = Exclude<Observation, { kind: 'positioned' | 'polled' }>

export class TransactionTable {
  readonly #transactions = new Map<string, Transaction>()
  /** By producer: when each of its lives was initialised, and had begun to ask for it. */
  readonly #initialised = new Map<string, Map<string, { atUs: number; begunUs: number }>>()
  /** By group and partition: the furthest offset of which the commit was acknowledged. */
  readonly #offsets = new Map<string, number>()
  /** Acknowledged. */
  committed = 0
  aborted = 0
  /** Lives that were fenced or given up, by their error. */
  readonly ends = new Map<string, number>()

  observe(seen: ProducerObservation): void {
    switch (seen.kind) {
      case 'initialised': {
        const { producer, life, atUs, begunUs } = seen
        const lives = this.#initialised.get(producer) ?? new Map<string, { atUs: number; begunUs: number }>()
        this.#initialised.set(producer, lives.set(life, { atUs, begunUs }))
        return
      }
      case 'writing': {
        const { partition, source, atUs, index } = seen
        const write = { partition, source, writingUs: atUs, offset: null }
        this.#ofName(seen.transaction).writes.set(index, write)
        return
      }
      case 'offset': {
        const { group, partition, offset } = seen
        this.#ofName(seen.transaction).offsets.push({ group, partition, offset })
        return
      }
      case 'sent': {
        const write = this.#ofName(seen.transaction).writes.get(seen.index)
        if (write === undefined) throw new Error(`acknowledged, and never sent: ${JSON.stringify(seen)}`)
        write.offset = seen.offset
        return
      }
      case 'committing':
        this.#ofName(seen.transaction).committingUs = seen.atUs
        return
      case 'committed': {
        this.committed++
        const transaction = this.#ofName(seen.transaction)
        transaction.committedUs = seen.atUs
        for (const { group, partition, offset } of transaction.offsets) {
          const key = `${group} ${partition}`
          this.#offsets.set(key, Math.max(offset, this.#offsets.get(key) ?? 0))
        }
        return
      }
      case 'aborted':
        this.aborted++
        this.#ofName(seen.transaction).abortedUs = seen.atUs
        return
      case 'ended': {
        const [error] = seen.error.split(': ', 1)
        this.ends.set(error, (this.ends.get(error) ?? 0) + 1)
      }
    }
  }

  committedOffset(group: string, partition: string): number {
    return this.#offsets.get(`${group} ${partition}`) ?? 0
  }

  get size(): number {
    return this.#transactions.size
  }

  all(): Iterable<Transaction> {
    return this.#transactions.values()
  }

  find(name: string): Transaction | null {
    return this.#transactions.get(name) ?? null
  }

  /** Null where nobody told of it. */
  writeOf({ transaction, index }: Omit<LogRecord, 'offset'>): Write | null {
    return this.#transactions.get(transaction)?.writes.get(index) ?? null
  }

  /**
   * When the first instance of its producer was initialised that came after its own; null where none has come. Of two that
   * asked at the same time nobody knows which came first.
   */
  fencedUs({ producer, life }: Transaction): number | null {
    const lives = [...(this.#initialised.get(producer) ?? [])]
    const ownUs = lives.find(([name]) => name === life)?.[1].atUs ?? -1
    const later = lives.filter(([name, { begunUs }]) => name !== life && begunUs > ownUs)
    return later.length === 0 ? null : Math.min(...later.map(([, { atUs }]) => atUs))
  }

  #ofName(name: string): Transaction {
    let transaction = this.#transactions.get(name)
    if (transaction === undefined) {
      const [producer, life, number] = name.split('/')
      transaction = {
        name,
        producer,
        life,
        number: Number(number),
        writes: new Map(),
        offsets: [],
        committingUs: null,
        committedUs: null,
        abortedUs: null,
      }
      this.#transactions.set(name, transaction)
    }
    return transaction
  }
}

/** Whether it may be committed: its commit was asked for, and no abort has been acknowledged. */
export function mayBeCommitted({ committingUs, abortedUs }: Transaction): boolean {
  return committingUs !== null && abortedUs === null
}
