/** Who a broker is: by configuration, by what its log directories say, or newly made. */
import { generateBrokerId, prepareCluster } from '../controller/registration.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import type { Env } from '../env/env.ts'
import type { LogDirLocks } from '../log/log-dir-locks.ts'
import { readMetaProperties, type MetaProperties } from '../log/meta-properties.ts'
import type { BrokerConfig } from './config/broker-config.ts'
import { ConfigError } from './config/config-types.ts'

/** Rejects with ConfigError and CoordinationError. */
export async function identify(
  config: BrokerConfig,
  env: Env,
  { session, locks }: { session: CoordinationSession; locks: LogDirLocks },
) {
  const found = config
    .logDirs()
    .filter((directory) => !locks.offline.has(directory))
    .map((directory) => ownerOf(env, directory))
    .find((meta) => meta !== null)
  const newClusterId = found?.clusterId ?? config.clusterId ?? env.random.bytes(16).toString('base64url')
  const clusterId = await prepareCluster(session, newClusterId)
  const configured = config.get('broker.id')
  if (configured >= 0) return { brokerId: configured, clusterId }
  if (found && found.brokerId >= 0) return { brokerId: found.brokerId, clusterId }
  if (!config.get('broker.id.generation.enable')) {
    throw new ConfigError('broker.id', String(configured), 'set it, or broker.id.generation.enable=true')
  }
  return { brokerId: await generateBrokerId(session, config.get('reserved.broker.max.id')), clusterId }
}

/** null where no file says it, or none that can be read: the log manager finds out what the disk lacks. */
function ownerOf(env: Env, directory: string): MetaProperties | null {
  try {
    return readMetaProperties(env.disk, directory)
  } catch (error) {
    if (error instanceof DiskError) return null
    throw error
  }
}
