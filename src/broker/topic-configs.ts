/** What topics set themselves, as this broker knows it: read before a log needs it, kept current by config changes. */
import type { LogConfig } from '../log/types.ts'
import type { BrokerConfig, Properties } from './config/broker-config.ts'

export class TopicConfigs {
  private readonly config: BrokerConfig
  private readonly read: (topic: string) => Promise<Properties>
  private readonly overrides = new Map<string, Properties>()
  private readonly resolved = new Map<string, LogConfig>()

  /** `read` gives what a topic sets itself, from the coordination service. */
  constructor(config: BrokerConfig, read: (topic: string) => Promise<Properties>) {
    this.config = config
    this.read = read
  }

  /** Reads the settings of topics that are not known yet, and of those in `again`, which may have been made anew. */
  async load(topics: Iterable<string>, again?: ReadonlySet<string>): Promise<void> {
    const unknown = [...new Set(topics)].filter((topic) => !this.overrides.has(topic) || again?.has(topic))
    const read = await Promise.all(unknown.map((topic) => this.read(topic)))
    unknown.forEach((topic, i) => this.set(topic, read[i]))
  }

  set(topic: string, overrides: Properties): void {
    this.overrides.set(topic, overrides)
    this.resolved.delete(topic)
  }

  /** They have been read, and are not read again. */
  has(topic: string): boolean {
    return this.overrides.has(topic)
  }

  forget(topic: string): void {
    this.overrides.delete(topic)
    this.resolved.delete(topic)
  }

  /** Broker settings changed: everything is resolved anew. */
  brokerChanged(): void {
    this.resolved.clear()
  }

  /** Settings in force for a topic's logs; the broker's own where the topic sets nothing. */
  logConfig(topic: string): LogConfig {
    let resolved = this.resolved.get(topic)
    if (!resolved) {
      resolved = this.config.topicLogConfig(this.overrides.get(topic) ?? {})
      this.resolved.set(topic, resolved)
    }
    return resolved
  }

  /** Whether a replica is among those that a replication quota counts (KIP-73): `partition:broker`, or `*` for all. */
  isThrottled(
    key: 'leader.replication.throttled.replicas' | 'follower.replication.throttled.replicas',
    replica: { readonly topic: string; readonly partition: number; readonly brokerId: number },
  ): boolean {
    const text = this.overrides.get(replica.topic)?.[key]
    if (text === undefined) return false
    const items = this.config.topicValue(key, { [key]: text })
    return items.includes('*') || items.includes(`${replica.partition}:${replica.brokerId}`)
  }
}
