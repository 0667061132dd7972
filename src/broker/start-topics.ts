/** Topics that are asked for on the command line or by the library, made before the broker says that it is ready. */
import type { NewTopic } from '../controller/topic-admin.ts'
import { ConfigError } from './config/config-types.ts'
import { topicNameFault } from './topic-names.ts'

export type { NewTopic }

/** -1 or left out: the broker's default. */
export interface TopicOption {
  readonly name: string
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** An option, or `name[:partitions[:replicas]]`. Throws ConfigError. */
export function newTopic(option: string | TopicOption): NewTopic {
  const {
    name,
    partitions = -1,
    replicationFactor = -1,
    configs = {},
  } = typeof option === 'string' ? parse(option) : option
  const fault = topicNameFault(name)
  if (fault) throw new ConfigError('--topic', name, fault)
  return {
    name,
    numPartitions: partitions,
    replicationFactor,
    assignments: [],
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  }
}

function parse(text: string): TopicOption {
  const [name, partitions, replicas, ...rest] = text.split(':')
  const numbers = [partitions, replicas].map((part) => (part === undefined ? -1 : Number(part)))
  const wrong = numbers.some((value) => value !== -1 && !(Number.isInteger(value) && value >= 1))
  if (wrong || rest.length > 0)
    throw new ConfigError('--topic', text, 'expected name[:partitions[:replicas]]')
  return { name, partitions: numbers[0], replicationFactor: numbers[1] }
}
