/** Odradek's log engine in this process, over the real disk, with Kafka's defaults. */
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { createNodeEnv } from '../../src/env/node/index.ts'
import { createLogManager } from '../../src/log/log-manager.ts'
import type { LogManager, ReplicaLog } from '../../src/log/types.ts'
import { warmUpCrc32c } from '../../src/protocol/crc32c.ts'

// As the broker does soon after its start.
warmUpCrc32c()

export const TOPIC = 'bench'
const TOPIC_ID = 'AQIDBAUGBwgJCgsMDQ4PEA'
const CLUSTER_ID = 'benchbenchbenchbenchbe'

export interface OpenLog {
  readonly log: ReplicaLog
  readonly manager: LogManager
  readonly close: () => Promise<void>
}

/** Opens `directory` as a log directory, with partition 0 of TOPIC in it; made by its first append when it is new. */
export function openLog(directory: string, topicOverrides: Readonly<Record<string, string>> = {}): OpenLog {
  const logger = {
    log: (level: string, message: string, fields = {}) => {
      if (level === 'warn' || level === 'error') console.error(level, message, fields)
    },
  }
  const config = new BrokerConfig({ 'log.dirs': directory }).topicLogConfig(topicOverrides)
  const NEVER_MS = 2 ** 30
  const manager: LogManager = createLogManager({
    env: createNodeEnv(logger),
    logDirs: [directory],
    brokerId: 1,
    clusterId: CLUSTER_ID,
    configFor: () => config,
    highWatermarkOf: (topic, partition) => manager.get(topic, partition)?.logEndOffset ?? 0,
    settings: {
      flushCheckpointIntervalMs: NEVER_MS,
      logStartCheckpointIntervalMs: NEVER_MS,
      highWatermarkCheckpointIntervalMs: NEVER_MS,
      retentionCheckIntervalMs: NEVER_MS,
      producerIdExpirationMs: NEVER_MS,
    },
  })
  manager.start()
  return { log: manager.getOrCreate(TOPIC, 0, TOPIC_ID, config), manager, close: () => manager.stop() }
}
