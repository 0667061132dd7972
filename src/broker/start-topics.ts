/** Topics that are asked for on the command line or by the library, made before the broker says that it is ready. */
import { ConfigError } from './config/config-types.ts'
import { topicNameFault } from './topic-names.ts'

/** -1: the broker's default. */
export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly configs: Readonly<Record<string, string>>
}

/** `name[:partitions[:replicas]]`. Throws ConfigError. */
export function parseTopicOption(text: string): NewTopic {
  const [name, partitions, replicas, ...rest] = text.split(':')
  const fault = topicNameFault(name)
  if (fault) throw new ConfigError('--topic', text, fault)
  const numbers = [partitions, replicas].map((part) => (part === undefined ? -1 : Number(part)))
  const wrong = numbers.some((value) => value !== -1 && !(Number.isInteger(value) && value >= 1))
  if (wrong || rest.length > 0)
    throw new ConfigError('--topic', text, 'expected name[:partitions[:replicas]]')
  return { name, partitions: numbers[0], replicationFactor: numbers[1], configs: {} }
}
