/**
 * `KAFKA_*` variables as the official container image maps them (Kafka 3.9, docker/resources/common-scripts and
 * KafkaDockerWrapper), and the Bitnami image's `KAFKA_CFG_*`.
 */
import type { Properties } from './broker-config.ts'

export type Variables = Readonly<Record<string, string | undefined>>

export interface EnvironmentSettings {
  readonly properties: Properties
  /** Of CLUSTER_ID, KAFKA_CLUSTER_ID or KAFKA_KRAFT_CLUSTER_ID. */
  readonly clusterId: string | null
  /** Variables that were set for a JVM or an image and have no meaning here. */
  readonly ignored: readonly string[]
}

/** Variables of the JVM, its launcher scripts and the images. The first eleven are the official image's own list. */
const IGNORED = new Set([
  'KAFKA_VERSION',
  'KAFKA_HEAP_OPTS',
  'KAFKA_LOG4J_OPTS',
  'KAFKA_OPTS',
  'KAFKA_JMX_OPTS',
  'KAFKA_JVM_PERFORMANCE_OPTS',
  'KAFKA_GC_LOG_OPTS',
  'KAFKA_LOG4J_ROOT_LOGLEVEL',
  'KAFKA_LOG4J_LOGGERS',
  'KAFKA_TOOLS_LOG4J_LOGLEVEL',
  'KAFKA_JMX_HOSTNAME',
  'KAFKA_HOME',
  'KAFKA_DEBUG',
  'KAFKA_CLASSPATH',
  'KAFKA_ENABLE_KRAFT',
  'KAFKA_EXTRA_FLAGS',
  'KAFKA_VOLUME_DIR',
  'KAFKA_SKIP_KRAFT_STORAGE_INIT',
  'ALLOW_PLAINTEXT_LISTENER',
  'BITNAMI_DEBUG',
])
const IGNORED_PREFIXES = [
  'KAFKA_JMX_',
  'KAFKA_LOG4J_',
  'KAFKA_JVM_',
  'KAFKA_GC_',
  'KAFKA_CONFLUENT_',
  'KAFKA_TLS_',
]
const CLUSTER_ID_NAMES = ['CLUSTER_ID', 'KAFKA_CLUSTER_ID', 'KAFKA_KRAFT_CLUSTER_ID']

const BITNAMI_PREFIX = 'KAFKA_CFG_'
const PREFIX = 'KAFKA_'

/** `_` is a dot, `__` an underscore, `___` a dash. */
export function propertyName(variable: string): string {
  return variable.toLowerCase().replaceAll('_', '.').replaceAll('...', '-').replaceAll('..', '_')
}

export function readEnvironment(variables: Variables): EnvironmentSettings {
  const plain: Record<string, string> = {}
  const bitnami: Record<string, string> = {}
  const ignored: string[] = []
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || CLUSTER_ID_NAMES.includes(name)) continue
    if (IGNORED.has(name) || IGNORED_PREFIXES.some((prefix) => name.startsWith(prefix))) ignored.push(name)
    else if (name.startsWith(BITNAMI_PREFIX)) bitnami[propertyName(name.slice(BITNAMI_PREFIX.length))] = value
    else if (name.startsWith(PREFIX)) plain[propertyName(name.slice(PREFIX.length))] = value
  }
  const properties: Record<string, string> = { ...plain, ...bitnami }
  const advertised = properties['advertised.listeners']
  // The image: where only advertised listeners are given, it listens on their ports, on all interfaces.
  if (advertised && !properties.listeners && !isControllerOnly(properties)) {
    properties.listeners = advertised.replace(/:\/\/(\[[^\]]*\]|[^:,]*):/g, '://0.0.0.0:')
  }
  const idName = CLUSTER_ID_NAMES.find((name) => variables[name])
  return { properties, clusterId: idName ? variables[idName]! : null, ignored: ignored.sort() }
}

function isControllerOnly(properties: Properties): boolean {
  return properties['process.roles']?.trim() === 'controller'
}
