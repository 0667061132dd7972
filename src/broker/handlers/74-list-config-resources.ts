/**
 * ListConfigResources 0-1 (KIP-1142), of Kafka 4.1, whose kafka-configs asks for it before it shows settings of groups: the
 * names of what has settings, or may have. v0 asks for client metrics (KIP-714) alone, of which there are none here; v1 names
 * types, or none for all of them. Groups are those that have settings of their own.
 */
import { ErrorCode } from '../../protocol/error-codes.ts'
import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '../../protocol/messages/74-list-config-resources.ts'
import { ResourceType } from '../config/config-admin.ts'
import type { RequestContext, Services } from '../services.ts'

type Resource = ListConfigResourcesResponse['configResources'][number]

const { TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP } = ResourceType
/** In the order of Kafka's answer. */
const LISTED: readonly number[] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC]

export function handleListConfigResources(
  services: Services,
  request: ListConfigResourcesRequest,
  { apiVersion }: RequestContext,
): ListConfigResourcesResponse {
  const asked = new Set(apiVersion === 0 ? [CLIENT_METRICS] : request.resourceTypes)
  if ([...asked].some((type) => !LISTED.includes(type))) {
    return { errorCode: ErrorCode.UNSUPPORTED_VERSION, configResources: [] }
  }
  const types = LISTED.filter((type) => asked.size === 0 || asked.has(type))
  return { errorCode: ErrorCode.NONE, configResources: types.flatMap((type) => resourcesOf(type, services)) }
}

function resourcesOf(resourceType: number, { configAdmin, metadata }: Services): Resource[] {
  const named = (names: Iterable<string>): Resource[] =>
    Array.from(names, (resourceName) => ({ resourceName, resourceType }))
  if (resourceType === GROUP) return named(configAdmin.configuredGroups())
  if (resourceType === TOPIC) return named(Array.from(metadata.topics(), ({ name }) => name))
  if (resourceType === CLIENT_METRICS) return []
  return named(Array.from(metadata.brokers(), ({ id }) => String(id)))
}
