/** Which names topics may have, which topics are the broker's own, and ids. */
import type { Random } from '../env/env.ts'
import { ZERO_UUID } from '../protocol/schema.ts'

export const OFFSETS_TOPIC = '__consumer_offsets'
export const TRANSACTIONS_TOPIC = '__transaction_state'
/** Kafka keeps KRaft's metadata log there; no topic of that name can be made. */
export const CLUSTER_METADATA_TOPIC = '__cluster_metadata'
const MAX_NAME_LENGTH = 249

/** What is wrong with a topic's name; null when nothing is. */
export function topicNameFault(name: string): string | null {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`
  if (name.length > MAX_NAME_LENGTH)
    return `Topic name is invalid: ${name.length} characters are more than the ${MAX_NAME_LENGTH} allowed`
  if (!/^[a-zA-Z0-9._-]+$/.test(name))
    return `Topic name is invalid: '${name}' has other characters than ASCII alphanumerics, '.', '_' and '-'`
  return null
}

/** Names that differ in `.` and `_` only would share their metrics. */
export function collisionKey(name: string): string {
  return name.replaceAll('.', '_')
}

/** A random id as Kafka makes them: version 4, and not beginning with a dash, which command lines would stumble over. */
export function newUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16)
    bytes[6] = (bytes[6] & 0x0f) | 0x40
    bytes[8] = (bytes[8] & 0x3f) | 0x80
    const id = bytes.toString('base64url')
    if (id !== ZERO_UUID && !id.startsWith('-')) return id
  }
}
