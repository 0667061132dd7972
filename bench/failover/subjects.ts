/** An ensemble, and on it a cluster of each kind with a client that waits to be put to work. */
import { join } from 'node:path'
import { workDirectory } from '../lab/brokers.ts'
import { BenchCluster, BROKER_IDS } from '../lab/cluster.ts'
import type { Detour, Kind } from '../lab/cluster.ts'
import { startEnsemble } from '../lab/ensemble.ts'
import type { Ensemble } from '../lab/ensemble.ts'
import { startGapClient } from '../lab/gap-client.ts'
import type { Options } from '../lab/session.ts'
import { replicasOfEach, TOPIC } from './leader-lost.ts'
import type { Subject } from './leader-lost.ts'

const KINDS: readonly Kind[] = ['odradek', 'kafka']

export interface Place {
  readonly ensemble: Ensemble
  readonly directory: string
  /** From one record of a partition to the next. */
  readonly intervalMs?: number
}

/** Both clusters with a client each, as long as `use` runs. */
export async function withSubjects<T>(
  options: Options,
  { ensemble, directory, intervalMs }: Place,
  detourOf: ((kind: Kind) => Detour) | undefined,
  use: (subjects: Record<string, Subject>) => Promise<T>,
): Promise<T> {
  const subjects: Record<string, Subject> = {}
  const chrootEnd = detourOf === undefined ? '' : '-behind-proxies'
  try {
    for (const kind of KINDS.filter((each) => !options.without.includes(each))) {
      const chroot = kind + chrootEnd
      const place = { directory: join(directory, chroot), ensemble, chroot, detour: detourOf?.(kind) }
      const cluster = await BenchCluster.start(kind, place)
      await cluster.createTopic(TOPIC, replicasOfEach)
      const client = startGapClient(cluster.bootstrap, TOPIC, BROKER_IDS.length, intervalMs)
      subjects[kind] = { cluster, client }
      await client.untilSteady()
      client.pause()
    }
    return await use(subjects)
  } finally {
    for (const { client, cluster } of Object.values(subjects)) {
      await client.stop()
      await cluster.stopAll()
    }
  }
}

export async function withEnsemble<T>(options: Options, use: (place: Place) => Promise<T>): Promise<T> {
  const work = workDirectory(options.data)
  const ensemble = await startEnsemble(join(work.path, 'zookeeper'))
  try {
    return await use({ ensemble, directory: work.path })
  } finally {
    await ensemble.stop()
    work.remove()
  }
}
