import type { RequestContext, Services } from './services.ts'

export interface NodeEndpoint {
  nodeId: number
  host: string
  port: number
  rack: string | null
}

/** Where the named brokers listen, for replies that say who leads now (KIP-951). */
export function nodeEndpointsFor(
  services: Services,
  context: RequestContext,
  nodeIds: ReadonlySet<number>,
): NodeEndpoint[] {
  if (nodeIds.size === 0) return []
  const endpoints: NodeEndpoint[] = []
  for (const broker of services.metadata.brokers()) {
    const endpoint = nodeIds.has(broker.id) ? broker.endpoints.get(context.listenerName) : undefined
    if (endpoint)
      endpoints.push({ nodeId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack })
  }
  return endpoints
}
