/** Which topics belong to the broker itself. The rules of names are the controller's (topic-names.ts there). */
import { OFFSETS_TOPIC, TRANSACTIONS_TOPIC, topicNameFault } from '../controller/topic-names.ts'
import type { RequestContext } from './services.ts'

export { OFFSETS_TOPIC, topicNameFault, TRANSACTIONS_TOPIC }

export function isInternalTopic(name: string): boolean {
  return name === OFFSETS_TOPIC || name === TRANSACTIONS_TOPIC
}

/** Kafka lets one client id write them, for administrators' repairs. */
export function mayWriteInternalTopics(context: RequestContext): boolean {
  return context.clientId === '__admin_client'
}
