/** Which topic names there can be, and which belong to the broker itself. */
import type { RequestContext } from './services.ts'

export const OFFSETS_TOPIC = '__consumer_offsets'
export const TRANSACTIONS_TOPIC = '__transaction_state'
const LONGEST_NAME = 249

export function isInternalTopic(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC
}

/** Kafka lets one client id write them, for administrators' repairs. */
export function mayWriteInternalTopics(context: RequestContext): boolean {
  return context.clientId === '__admin_client'
}

/** null when the name can be a topic's (it becomes a directory name), else what is wrong with it. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'a topic name cannot be empty'
  if (name === '.' || name === '..') return `a topic cannot be called "${name}"`
  if (name.length > LONGEST_NAME)
    return `a topic name has at most ${LONGEST_NAME} characters, this has ${name.length}`
  if (!/^[a-zA-Z0-9._-]+$/.test(name))
    return `topic name "${name}" has characters other than a-z A-Z 0-9 . _ -`
  return null
}
