/**
 * Where the cluster's metadata lies in the coordination service and how it is written there: paths and JSON of Apache
 * Kafka 3.9 in ZooKeeper mode, so that its brokers and tools can share the tree. Readers pass over unknown keys.
 */

export const BROKER_IDS_PATH = '/brokers/ids'
export const BROKER_SEQUENCE_PATH = '/brokers/seqid'
export const TOPICS_PATH = '/brokers/topics'
export const TOPIC_CONFIGS_PATH = '/config/topics'
export const DELETE_TOPICS_PATH = '/admin/delete_topics'
export const CONTROLLER_PATH = '/controller'
export const CONTROLLER_EPOCH_PATH = '/controller_epoch'
export const CLUSTER_ID_PATH = '/cluster/id'
export const LOG_DIR_EVENTS_PATH = '/log_dir_event_notification'
export const ISR_CHANGES_PATH = '/isr_change_notification'
export const PREFERRED_ELECTION_PATH = '/admin/preferred_replica_election'
export const REASSIGN_PARTITIONS_PATH = '/admin/reassign_partitions'
export const PRODUCER_ID_BLOCK_PATH = '/latest_producer_id_block'
export const FEATURE_PATH = '/feature'
/** A sequence number follows. */
export const LOG_DIR_EVENT_PREFIX = `${LOG_DIR_EVENTS_PATH}/log_dir_event_`

/** Made empty at every broker start where missing, parents first. */
export const INITIAL_PATHS = [
  '/consumers',
  '/brokers',
  BROKER_IDS_PATH,
  TOPICS_PATH,
  BROKER_SEQUENCE_PATH,
  '/config',
  '/config/changes',
  TOPIC_CONFIGS_PATH,
  '/config/clients',
  '/config/users',
  '/config/brokers',
  '/config/ips',
  '/admin',
  DELETE_TOPICS_PATH,
  ISR_CHANGES_PATH,
  PRODUCER_ID_BLOCK_PATH,
  LOG_DIR_EVENTS_PATH,
] as const

export const brokerPath = (id: number): string => `${BROKER_IDS_PATH}/${id}`
export const topicPath = (topic: string): string => `${TOPICS_PATH}/${topic}`
export const partitionsPath = (topic: string): string => `${TOPICS_PATH}/${topic}/partitions`
export const partitionPath = (topic: string, partition: number): string =>
  `${TOPICS_PATH}/${topic}/partitions/${partition}`
export const partitionStatePath = (topic: string, partition: number): string =>
  `${TOPICS_PATH}/${topic}/partitions/${partition}/state`
export const topicConfigPath = (topic: string): string => `${TOPIC_CONFIGS_PATH}/${topic}`
export const deleteTopicPath = (topic: string): string => `${DELETE_TOPICS_PATH}/${topic}`

/** By their ids in the protocol. */
export const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']

export interface BrokerEndpoint {
  readonly listenerName: string
  readonly host: string
  readonly port: number
  /** PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. */
  readonly securityProtocol: string
}

export interface BrokerZnode {
  readonly endpoints: readonly BrokerEndpoint[]
  readonly rack: string | null
  readonly timestampMs: number
  /** The highest `transaction.version` that it serves; 0: it says nothing of it, as brokers of Kafka 3.9. */
  readonly transactionVersion?: number
}

const TRANSACTION_VERSION = 'transaction.version'

/** `/brokers/ids/<id>`, version 5. */
export function encodeBroker(broker: BrokerZnode): Buffer {
  const plain = broker.endpoints.find(({ securityProtocol }) => securityProtocol === 'PLAINTEXT')
  const map = broker.endpoints.map(({ listenerName, securityProtocol }) => [listenerName, securityProtocol])
  return json({
    version: 5,
    host: plain?.host ?? null,
    port: plain?.port ?? -1,
    jmx_port: -1,
    timestamp: String(broker.timestampMs),
    endpoints: broker.endpoints.map(({ listenerName, host, port }) => {
      return `${listenerName}://${host.includes(':') ? `[${host}]` : host}:${port}`
    }),
    listener_security_protocol_map: Object.fromEntries(map),
    ...(broker.rack === null ? {} : { rack: broker.rack }),
    features: featuresOf(broker),
  })
}

/** Ranges that begin at 0 are none to brokers before Kafka 3.9. */
function featuresOf({ transactionVersion = 0 }: BrokerZnode): Record<string, Record<string, number>> {
  if (transactionVersion === 0) return {}
  return { [TRANSACTION_VERSION]: { min_version: 1, max_version: transactionVersion } }
}

/** As in `BrokerZnode`. */
export function decodeTransactionVersion(data: Buffer | null): number {
  const features = parse(data)?.features
  const range = isObject(features) ? features[TRANSACTION_VERSION] : undefined
  return isObject(range) && typeof range.max_version === 'number' ? range.max_version : 0
}

const ENDPOINT = /^([^:/]+):\/\/(?:\[([^\]]*)\]|([^:]*)):(-?\d+)$/

/** null for what is no broker's registration. */
export function decodeBroker(data: Buffer | null): BrokerZnode | null {
  const value = parse(data)
  if (value === null || !Array.isArray(value.endpoints)) return null
  const protocols = isObject(value.listener_security_protocol_map) ? value.listener_security_protocol_map : {}
  const endpoints: BrokerEndpoint[] = []
  for (const text of value.endpoints) {
    const match = ENDPOINT.exec(String(text))
    if (match === null) return null
    const listenerName = match[1].toUpperCase()
    const securityProtocol = String(protocols[match[1]] ?? protocols[listenerName] ?? listenerName)
    endpoints.push({ listenerName, host: match[2] ?? match[3], port: Number(match[4]), securityProtocol })
  }
  const rack = typeof value.rack === 'string' ? value.rack : null
  return { endpoints, rack, timestampMs: Number(value.timestamp ?? 0) }
}

export interface TopicZnode {
  /** null in nodes that brokers older than 2.8 wrote. */
  readonly topicId: string | null
  /** Replicas of partition 0, 1, ... */
  readonly partitions: readonly (readonly number[])[]
  /** Of partitions under reassignment; partition -> replicas. */
  readonly addingReplicas: Readonly<Record<string, readonly number[]>>
  readonly removingReplicas: Readonly<Record<string, readonly number[]>>
}

/** `/brokers/topics/<topic>`, version 3. */
export function encodeTopic(topic: TopicZnode): Buffer {
  return json({
    version: 3,
    ...(topic.topicId === null ? {} : { topic_id: topic.topicId }),
    partitions: Object.fromEntries(topic.partitions.entries()),
    adding_replicas: topic.addingReplicas,
    removing_replicas: topic.removingReplicas,
  })
}

/** null for what is no topic, or one without partitions 0, 1, ... in a row. */
export function decodeTopic(data: Buffer | null): TopicZnode | null {
  const value = parse(data)
  if (value === null || !isObject(value.partitions)) return null
  const partitions: number[][] = []
  for (const [index, replicas] of Object.entries(value.partitions)) {
    if (!isNumbers(replicas)) return null
    partitions[Number(index)] = replicas
  }
  if (partitions.length === 0 || Object.keys(partitions).length !== partitions.length) return null
  return {
    topicId: typeof value.topic_id === 'string' ? value.topic_id : null,
    partitions,
    addingReplicas: isObject(value.adding_replicas)
      ? (value.adding_replicas as Record<string, number[]>)
      : {},
    removingReplicas: isObject(value.removing_replicas)
      ? (value.removing_replicas as Record<string, number[]>)
      : {},
  }
}

export interface PartitionStateZnode {
  /** -1: none */
  readonly leader: number
  readonly leaderEpoch: number
  readonly isr: readonly number[]
  readonly controllerEpoch: number
  /** After an unclean election, until the leader has recovered (KIP-704). */
  readonly recovering: boolean
}

/** `/brokers/topics/<topic>/partitions/<partition>/state`, version 1. */
export function encodePartitionState(state: PartitionStateZnode): Buffer {
  return json({
    version: 1,
    leader: state.leader,
    leader_epoch: state.leaderEpoch,
    controller_epoch: state.controllerEpoch,
    isr: state.isr,
    ...(state.recovering ? { leader_recovery_state: 1 } : {}),
  })
}

export function decodePartitionState(data: Buffer | null): PartitionStateZnode | null {
  const value = parse(data)
  if (value === null || typeof value.leader !== 'number' || !isNumbers(value.isr)) return null
  return {
    leader: value.leader,
    leaderEpoch: Number(value.leader_epoch),
    isr: value.isr,
    controllerEpoch: Number(value.controller_epoch),
    recovering: value.leader_recovery_state === 1,
  }
}

/** `/controller`, version 2. */
export function encodeController(brokerId: number, timestampMs: number): Buffer {
  return json({ version: 2, brokerid: brokerId, timestamp: String(timestampMs), kraftControllerEpoch: -1 })
}

/** The controller's broker id; null when the node says nothing of the kind. */
export function decodeController(data: Buffer | null): number | null {
  const value = parse(data)
  return typeof value?.brokerid === 'number' ? value.brokerid : null
}

/** What a controller has left behind: its epoch, and the registrations (czxid by id) that it has dealt with. */
export interface DealtWith {
  readonly controllerEpoch: number
  readonly brokerEpochs: ReadonlyMap<number, number>
}

/** Data of `/brokers/ids`, of which Kafka reads the children alone: it leaves there what it finds, and writes nothing. */
export function encodeDealtWith({ controllerEpoch, brokerEpochs }: DealtWith): Buffer {
  return json({ controller_epoch: controllerEpoch, broker_epochs: Object.fromEntries(brokerEpochs) })
}

/** null where no controller of ours has left any. */
export function decodeDealtWith(data: Buffer | null): DealtWith | null {
  const value = parse(data)
  const { controller_epoch: controllerEpoch, broker_epochs: epochs } = value ?? {}
  if (typeof controllerEpoch !== 'number' || !isObject(epochs)) return null
  const known = Object.entries(epochs).map(([id, epoch]): [number, number] => [Number(id), Number(epoch)])
  return { controllerEpoch, brokerEpochs: new Map(known) }
}

/** `/log_dir_event_notification/log_dir_event_<sequence>`, version 1. Event 1: a log directory has failed. */
export function encodeLogDirEvent(brokerId: number): Buffer {
  return json({ version: 1, broker: brokerId, event: 1 })
}

/** The broker's id; null when the node says nothing of the kind. */
export function decodeLogDirEvent(data: Buffer | null): number | null {
  const value = parse(data)
  return typeof value?.broker === 'number' && value.event === 1 ? value.broker : null
}

export function encodeClusterId(id: string): Buffer {
  return json({ version: '1', id })
}

export function decodeClusterId(data: Buffer | null): string | null {
  const value = parse(data)
  return typeof value?.id === 'string' ? value.id : null
}

/** `/config/<type>/<entity>`, version 1. */
export function encodeConfig(config: Readonly<Record<string, string>>): Buffer {
  return json({ version: 1, config })
}

/** null where there is no configuration. */
export function decodeConfig(data: Buffer | null): Readonly<Record<string, string>> | null {
  const value = parse(data)
  return value !== null && isObject(value.config) ? (value.config as Record<string, string>) : null
}

export interface ProducerIdBlock {
  readonly broker: number
  readonly firstId: number
  readonly lastId: number
}

/** `/latest_producer_id_block`, version 1. */
export function encodeProducerIdBlock({ broker, firstId, lastId }: ProducerIdBlock): Buffer {
  return json({ version: 1, broker, block_start: String(firstId), block_end: String(lastId) })
}

/** null when none has been handed out. */
export function decodeProducerIdBlock(data: Buffer | null): ProducerIdBlock | null {
  const value = parse(data)
  if (value === null) return null
  return { broker: Number(value.broker), firstId: Number(value.block_start), lastId: Number(value.block_end) }
}

interface NamedPartition {
  readonly topic: string
  readonly partition: number
}

/** `partitions` of /isr_change_notification, /admin/preferred_replica_election, /admin/reassign_partitions: version 1. */
export function decodePartitions(
  data: Buffer | null,
): (NamedPartition & { readonly replicas: readonly number[] | null })[] {
  const value = parse(data)
  if (value === null || !Array.isArray(value.partitions)) return []
  return value.partitions.flatMap((one: unknown) => {
    if (!isObject(one) || typeof one.topic !== 'string' || typeof one.partition !== 'number') return []
    const replicas = isNumbers(one.replicas) ? one.replicas : null
    return [{ topic: one.topic, partition: one.partition, replicas }]
  })
}

export function encodeReassignments(
  partitions: readonly (NamedPartition & { readonly replicas: readonly number[] })[],
): Buffer {
  return json({
    version: 1,
    partitions: partitions.map(({ topic, partition, replicas }) => ({ topic, partition, replicas })),
  })
}

/** `/feature`, version 2: no feature is finalised in a cluster that keeps its metadata in ZooKeeper. */
export function encodeFeatures(): Buffer {
  return json({ version: 2, status: 1, features: {} })
}

/** The node is one that a controller of this version leaves as it is. */
export function hasFeatures(data: Buffer | null): boolean {
  const value = parse(data)
  return value !== null && value.version === 2 && value.status === 1 && isObject(value.features)
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function parse(data: Buffer | null): Record<string, unknown> | null {
  if (data === null || data.length === 0) return null
  try {
    const value: unknown = JSON.parse(data.toString())
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'number')
}
