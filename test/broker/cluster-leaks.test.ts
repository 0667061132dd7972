/** Brokers of one process that are killed and stopped: each gives back its files, its sockets and its timers. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { memberProperties } from '../../src/broker/config/cluster-config.ts'
import { LocalCluster, type LocalMember } from '../../src/broker/local-cluster.ts'
import type { Timers } from '../../src/env/env.ts'
import { createNodeEnv } from '../../src/env/node/index.ts'
import { silentLogger } from '../../src/env/node/logger.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { eventually } from './eventually.ts'
import { batchOf, produce } from './requests.ts'
import { WireClient } from './wire-client.ts'

const PARTITIONS = 6
const ROUNDS = 3
const TOPICS = [{ name: 't', numPartitions: PARTITIONS, replicationFactor: 3, assignments: [], configs: [] }]

let directory: string
let cluster: LocalCluster
/** Timers of the cluster that have neither run nor been cancelled. */
const pending = new Set<object>()
/** Sockets of this process before the cluster's. */
let socketsBefore: number

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'odradek-leaks-'))
  socketsBefore = sockets()
  const properties = {
    'offsets.topic.num.partitions': '3',
    'offsets.topic.replication.factor': '3',
    'controlled.shutdown.retry.backoff.ms': '50',
    'auto.leader.rebalance.enable': 'false',
  }
  const env = createNodeEnv(silentLogger)
  cluster = await LocalCluster.start({
    env: { ...env, timers: counted(env.timers) },
    size: 3,
    directory,
    configOf: ({ id, logDir, port }) =>
      new BrokerConfig({
        ...properties,
        ...memberProperties({ id, host: '127.0.0.1', logDir, port: port ?? 0 }),
      }),
    topics: TOPICS,
  })
})
afterEach(async () => {
  await cluster.stop()
  rmSync(directory, { recursive: true, force: true })
})

function counted(timers: Timers): Timers {
  return {
    ...timers,
    after(delayMs, callback) {
      const key = { delayMs, from: new Error('set here').stack }
      pending.add(key)
      const timer = timers.after(delayMs, () => {
        pending.delete(key)
        callback()
      })
      return {
        cancel: () => {
          pending.delete(key)
          timer.cancel()
        },
      }
    },
  }
}

/** What this process's descriptors are open on. */
function descriptors(): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // That of the listing itself.
      return ''
    }
  })
  return targets
}

const sockets = (): number => descriptors().filter((target) => target.startsWith('socket:')).length

const filesBelow = (path: string): string[] =>
  descriptors()
    .filter((target) => target.startsWith(`${path}/`))
    .sort()

/** One record to each partition, through whoever leads it, with acks=all. */
async function produceToAll(): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await eventually(
      async () => {
        const port = cluster.leaderOf('t', partition)?.listener?.port
        if (port === undefined) return -1
        const client = await WireClient.connect(port).catch(() => null)
        if (client === null) return -1
        const none = { errorCode: -1 }
        const { errorCode } = await produce(client, 't', batchOf(['value']), { partition }).catch(() => none)
        client.close()
        return errorCode
      },
      (error) => error === ErrorCode.NONE,
    )
  }
}

async function untilInSync(): Promise<void> {
  const isInSync = (): boolean => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const leader = cluster.leaderOf('t', partition)?.broker?.parts.services.replicas.get('t', partition)
      if (leader?.isLeader !== true || leader.isr.length !== 3) return false
    }
    return true
  }
  await eventually(isInSync, Boolean)
}

/** Of a cluster that has nothing to do, after all that ends late has ended. */
async function settled(look: () => number, expected: number): Promise<void> {
  await eventually(
    look,
    (now) => now <= expected,
    () => ({ now: look(), expected, pending: [...pending] }),
  )
}

const ways: [string, (member: LocalMember) => Promise<void>][] = [
  ['killed', (member) => member.kill()],
  ['stopped', (member) => member.stop()],
]

test.each(ways)('each broker in turn is %s and started again: nothing is left of a life', async (_, end) => {
  const round = async (): Promise<{ files: string[]; sockets: number }> => {
    for (const member of cluster.members) {
      await produceToAll()
      await end(member)
      expect(filesBelow(member.logDir)).toEqual([])
      await produceToAll()
      await member.start()
      await untilInSync()
    }
    return { files: filesBelow(directory), sockets: sockets() }
  }
  const first = await round()
  for (let i = 1; i < ROUNDS; i++) await round()
  await settled(() => filesBelow(directory).length, first.files.length)
  await settled(sockets, first.sockets)
})

test.each(ways)(
  'when all brokers are %s there are no timers and no sockets of them any more',
  async (_, end) => {
    await produceToAll()
    for (const member of cluster.members) await end(member)
    for (const { logDir } of cluster.members) expect(filesBelow(logDir)).toEqual([])
    await settled(sockets, socketsBefore)
    await settled(() => pending.size, 0)
  },
)

test('nothing at all is left of a cluster that is stopped', async () => {
  await produceToAll()
  await cluster.stop()
  expect(filesBelow(directory)).toEqual([])
  await settled(sockets, socketsBefore)
  expect([...pending]).toEqual([])
})
