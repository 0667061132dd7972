import type { Kafka, Producer } from 'kafkajs'
import { pause } from '../harness/conditions.ts'
import { kafkajsClient, patient } from '../harness/kafkajs-client.ts'

export interface Message {
  key: string
  value: string
  /** Milliseconds since 1970; decimal. */
  timestamp: string
}

const RECORDS_A_BATCH = 25
const BETWEEN_BATCHES_MS = 25

/**
 * Records that come in all the time while applications and brokers are killed, until it is ended. The producer is
 * idempotent, so that each record is in the topic once.
 */
export class Feed {
  /** What has been acknowledged so far. */
  readonly sent: Message[] = []
  #producer: Producer
  #topic: string
  #make: (index: number) => Message
  #ending = false
  #done: Promise<void> | undefined

  constructor(bootstrap: string, topic: string, make: (index: number) => Message) {
    const kafka: Kafka = kafkajsClient(bootstrap, { retry: patient })
    this.#producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry: patient })
    this.#topic = topic
    this.#make = make
  }

  async start(): Promise<void> {
    await this.#producer.connect()
    this.#done = this.#run()
    this.#done.catch(() => {}) // end() says so
  }

  async #run(): Promise<void> {
    while (!this.#ending) {
      const from = this.sent.length
      const messages = Array.from({ length: RECORDS_A_BATCH }, (_, index) => this.#make(from + index))
      await this.#producer.send({ topic: this.#topic, messages, acks: -1 })
      this.sent.push(...messages)
      await pause(BETWEEN_BATCHES_MS)
    }
  }

  /** Ends after the batch under way. */
  async end(): Promise<void> {
    this.#ending = true
    await this.#done
    await this.#producer.disconnect()
  }
}
