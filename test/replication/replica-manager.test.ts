import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { buildBatch } from '../../src/protocol/record-batch.ts'
import { ReplicaManager } from '../../src/replication/replica-manager.ts'
import { baseConfig, openLogs } from '../log/log-fixture.ts'
import { BROKER, LAG_TIME_MAX_MS, stateOf } from './partition-fixture.ts'

const SESSION_MS = 6000

/** A replica manager whose process can stand still: time goes on, and no timer runs. */
function managed() {
  const {
    manager: logs,
    logger,
    time,
  } = openLogs({
    disk: new SimDisk({ random: new SeededRandom(1) }),
    manager: { brokerId: BROKER },
  })
  let stoodStillMs = 0
  const asked: ((answer: 'sound' | 'expired') => void)[] = []
  const replicas = new ReplicaManager({
    brokerId: BROKER,
    logs,
    logger,
    clock: { nowMs: () => time.clock.nowMs(), monotonicMs: () => time.clock.monotonicMs() + stoodStillMs },
    timers: time.timers,
    listener: { elected: () => undefined, resigned: () => undefined },
    configFor: () => baseConfig,
    maxMoveBytesPerSecond: () => Infinity,
    leaderAddress: () => undefined,
    isLive: () => true,
    lagTimeMaxMs: () => LAG_TIME_MAX_MS,
    readsFromFollowers: () => false,
    brokerEpoch: () => 1,
    sessionTimeoutMs: () => SESSION_MS,
    fetchWaitMaxMs: () => 500,
    isSessionSound: () => true,
    confirmSession: () => new Promise((resolve) => void asked.push(resolve)),
    alterPartition: () => new Promise(() => undefined),
    fetchers: null,
  })
  return { replicas, asked, standStill: (ms: number) => void (stoodStillMs += ms) }
}

const batch = (): Buffer => buildBatch({ records: [{ timestampMs: 1, key: null, value: Buffer.from('a') }] })

test('a follower that has stood still, and is made leader by what waited meanwhile, is not sure that it leads', async () => {
  const { replicas, asked, standStill } = managed()
  const told = (leader: number, leaderEpoch: number): void => {
    const state = stateOf({
      leader,
      leaderEpoch,
      partitionEpoch: leaderEpoch,
      replicas: [BROKER, 2],
      isr: [BROKER, 2],
    })
    const [{ error }] = replicas.applyLeaderAndIsr({ controllerId: 2, controllerEpoch: 1, states: [state] })
    expect(error).toBe(ErrorCode.NONE)
  }
  told(2, 1)
  standStill(SESSION_MS)
  told(BROKER, 2)
  const { topic, partition: index } = stateOf({})
  const partition = replicas.get(topic, index)!
  const append = (): number => partition.append(batch(), 'client', 1).error
  expect(append()).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  expect(partition.refusalToClient()).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  asked[0]('sound')
  await Promise.resolve()
  await Promise.resolve()
  expect(append()).toBe(ErrorCode.NONE)
})
