/**
 * A cluster of brokers, each of either kind, on a real ZooKeeper ensemble: ours, Apache Kafka 3.9's, or both together.
 * All read the same server.properties but for broker.id, listeners and log.dirs.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEnsemble, type Ensemble } from '../zookeeper/ensemble.ts'
import { ClusterMember } from './cluster-member.ts'
import type { BrokerKind } from './broker.ts'
import { freePort } from './launch.ts'
import { loopback, type Place } from './place.ts'

export type { BrokerKind }

export interface ClusterOptions {
  /** The kind of each broker; the first has broker.id 1. */
  kinds: readonly BrokerKind[]
  /** On top of `clusterProperties`, for all brokers. */
  config?: Readonly<Record<string, string>>
  /** Servers of the ensemble: 3, or 1 for a test that leaves the ensemble alone. */
  ensembleSize?: 1 | 3
  /** Where the brokers and the servers run; 127.0.0.1 where none is given. */
  brokerPlaces?: readonly Place[]
  ensemblePlaces?: readonly Place[]
  /** The log directory of a broker that shall not have it below the cluster's own directory. */
  logDirOf?: (brokerId: number) => string | undefined
}

/** Short enough that faults are noticed while a test runs; everything that decides safety is Kafka's default. */
export const clusterProperties: Readonly<Record<string, string>> = {
  'zookeeper.session.timeout.ms': '6000',
  'zookeeper.connection.timeout.ms': '30000',
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'transaction.state.log.num.partitions': '4',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
  'replica.lag.time.max.ms': '3000',
  'replica.socket.timeout.ms': '4000',
  'controller.socket.timeout.ms': '4000',
  'leader.imbalance.check.interval.seconds': '5',
}

/** Calm enough that an ensemble on a busy machine keeps its leader. */
const ENSEMBLE_TICK_MS = 500

export class Cluster {
  readonly ensemble: Ensemble
  readonly members: readonly ClusterMember[]
  readonly directory: string

  constructor(ensemble: Ensemble, members: readonly ClusterMember[], directory: string) {
    this.ensemble = ensemble
    this.members = members
    this.directory = directory
  }

  /** `host:port,...` of all brokers, running or not. */
  get bootstrap(): string {
    return this.members.map(({ address }) => address).join(',')
  }

  member(brokerId: number): ClusterMember {
    const member = this.members.find((each) => each.brokerId === brokerId)
    if (member === undefined) throw new Error(`no broker ${brokerId}`)
    return member
  }

  /** Ends all processes and removes what they have written. */
  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()))
    await this.ensemble.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Resolves when the ensemble and all brokers serve. The caller stops it (afterAll). */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { kinds, config = {}, ensembleSize = 3, brokerPlaces = [], ensemblePlaces = [] } = options
  const directory = mkdtempSync(join(tmpdir(), 'odradek-cluster-'))
  const ensemble = await startEnsemble(ensembleSize, ensemblePlaces, ENSEMBLE_TICK_MS)
  const members: ClusterMember[] = []
  for (const [index, kind] of kinds.entries()) {
    const brokerId = index + 1
    const own = join(directory, `broker-${brokerId}`)
    mkdirSync(own)
    members.push(
      new ClusterMember({
        brokerId,
        kind,
        place: brokerPlaces[index] ?? loopback,
        port: await freePort(),
        directory: own,
        logDir: options.logDirOf?.(brokerId),
        properties: { ...clusterProperties, 'zookeeper.connect': ensemble.connect, ...config },
      }),
    )
  }
  const cluster = new Cluster(ensemble, members, directory)
  try {
    await Promise.all(members.map((member) => member.start()))
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}
