/** Settings of brokers that are one cluster in one process: what differs from broker to broker, and what follows from their number. */
import type { BrokerConfig, Properties } from './broker-config.ts'
import { ConfigError } from './config-types.ts'
import { hostPort } from './listeners.ts'

export interface MemberPlace {
  readonly id: number
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly logDir: string
}

/** Kafka's own number of replicas where there are brokers enough. */
const REPLICAS = 3

/** What says who and where a broker is. It replaces what the file, the environment and flags say of it. */
export function memberProperties({ id, host, port, logDir }: MemberPlace): Properties {
  return {
    'broker.id': String(id),
    'node.id': String(id),
    listeners: `PLAINTEXT://${hostPort(host, port)}`,
    'advertised.listeners': '',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT',
    'inter.broker.listener.name': '',
    'control.plane.listener.name': '',
    'controller.listener.names': '',
    'process.roles': '',
    'log.dirs': logDir,
  }
}

/**
 * Replication that `size` brokers can give: where nothing is said of it, three replicas, or as many as there are brokers; an
 * internal topic never has more. Throws ConfigError where the brokers cannot share a store.
 */
export function replicationProperties(config: BrokerConfig, size: number): Properties {
  const connect = config.get('zookeeper.connect')
  if (connect !== null && connect !== '') {
    const message = 'several brokers of one process share an embedded store; leave out one of the two'
    throw new ConfigError('zookeeper.connect', connect, message)
  }
  const most = Math.min(REPLICAS, size)
  const properties: Record<string, string> = {}
  for (const key of [
    'offsets.topic.replication.factor',
    'transaction.state.log.replication.factor',
  ] as const) {
    if (config.sourceOf(key) === 'default') properties[key] = String(most)
    else if (config.get(key) > size) properties[key] = String(size)
  }
  if (config.sourceOf('default.replication.factor') === 'default')
    properties['default.replication.factor'] = String(most)
  const minIsr = 'transaction.state.log.min.isr'
  if (config.sourceOf(minIsr) === 'default') properties[minIsr] = String(Math.min(2, size))
  else if (config.get(minIsr) > size) properties[minIsr] = String(size)
  return properties
}
