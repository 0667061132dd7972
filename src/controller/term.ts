/** One term of a controller: from the election that it won to its end. The parts that act in it share this. */
import type { CoordinationSession } from '../env/coordination.ts'
import type { Logger, Random, Timers } from '../env/env.ts'
import type { BrokerChannels } from './broker-channels.ts'
import type { ClusterState } from './cluster-state.ts'
import type { FencedWrites } from './fenced-writes.ts'

/** Read anew each time: most of these settings change while running. */
export interface ControllerSettings {
  /** `delete.topic.enable` */
  deletionEnabled(): boolean
  /** `unclean.leader.election.enable` of topics that do not say it themselves */
  uncleanElectionEnabled(): boolean
  /** `odradek.fast.failover.enable` */
  fastFailoverEnabled(): boolean
  /** `auto.leader.rebalance.enable` */
  rebalanceEnabled(): boolean
  /** `leader.imbalance.check.interval.seconds` */
  imbalanceCheckIntervalMs(): number
  /** `leader.imbalance.per.broker.percentage` */
  imbalancePercentage(): number
}

export interface Term {
  readonly brokerId: number
  readonly epoch: number
  readonly session: CoordinationSession
  /** All that is written about partitions, topics and markers goes through here. */
  readonly writes: FencedWrites
  readonly state: ClusterState
  readonly channels: BrokerChannels
  readonly settings: ControllerSettings
  readonly timers: Timers
  readonly random: Random
  readonly logger: Logger
  /** An event that nobody waits for: it stands in the queue once, and is dropped when the term is over by then. */
  schedule(kind: string, event: () => Promise<void>): void
}
