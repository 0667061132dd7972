/**
 * kafkajs with another filter of aborted transactions. Its own enters one aborted transaction with each record, in the order
 * of the reply, which is that of their ends: where two or more have begun before a record, or have ended in another order
 * than they began, it gives out records of the later ones as committed. No broker can help that, and it would hide what a
 * broker does wrong.
 */
import { createRequire } from 'node:module'

interface Message {
  offset: string
  key: Buffer | null
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
}

export interface Fetched {
  /** In the order of the log, with the markers. */
  messages: Message[]
  abortedTransactions?: { producerId: string; firstOffset: string }[] | null
}

/** Of a marker's key: version, then type, of 16 bits each. */
const isAbortMarker = ({ isControlRecord, key }: Message): boolean =>
  isControlRecord && key !== null && Buffer.from(key).readInt16BE(2) === 0

/** All but the records of aborted transactions. */
export function withoutAborted({ messages, abortedTransactions }: Fetched): Message[] {
  const waiting = (abortedTransactions ?? [])
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .sort((a, b) => b.firstOffset - a.firstOffset)
  const aborted = new Set<string>()
  return messages.filter((message) => {
    while (waiting.length > 0 && waiting.at(-1)!.firstOffset <= Number(message.offset)) {
      aborted.add(waiting.pop()!.producerId)
    }
    const { producerId, inTransaction } = message.batchContext
    if (isAbortMarker(message)) aborted.delete(producerId)
    return message.isControlRecord || !inTransaction || !aborted.has(producerId)
  })
}

/** For a process of its own: whoever has loaded kafkajs before has the other filter. */
export function loadMendedKafkajs(): typeof import('kafkajs') {
  const require = createRequire(import.meta.url)
  const name = require.resolve('kafkajs/src/consumer/filterAbortedMessages.js')
  require(name)
  require.cache[name]!.exports = withoutAborted
  return require('kafkajs') as typeof import('kafkajs')
}
