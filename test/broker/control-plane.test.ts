import { expect, test } from 'vitest'
import { ControlPlane, localChannel, UNKNOWN_EPOCH } from '../../src/broker/control-plane.ts'
import { BrokerConfig } from '../../src/broker/config/broker-config.ts'
import { TopicConfigs } from '../../src/broker/topic-configs.ts'
import { LEADER_DURING_DELETE, type PartitionState } from '../../src/controller/metadata.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'

const BROKER_EPOCH = 40

const state = (topic: string, leader = 1): PartitionState => ({
  topic,
  topicId: `id of ${topic}`,
  partition: 0,
  controllerEpoch: 1,
  leader,
  leaderEpoch: 1,
  isr: [1],
  partitionEpoch: 1,
  replicas: [1],
  addingReplicas: [],
  removingReplicas: [],
  isNew: false,
  recovering: false,
  offlineReplicas: [],
})
const from = (controllerEpoch: number, brokerEpoch = BROKER_EPOCH) => {
  return { controllerId: 2, controllerEpoch, brokerEpoch }
}
const NOTHING = { brokers: [], partitions: [] }

/** A control plane whose parts note what is done. */
function plane() {
  const done: string[] = []
  const settings = { load: (topics: Iterable<string>): Promise<void> => Promise.resolve(void [...topics]) }
  const controlPlane = new ControlPlane({
    brokerEpoch: () => BROKER_EPOCH,
    metadata: { updateMetadata: (controllerId) => void done.push(`metadata of ${controllerId}`) },
    replicas: {
      applyLeaderAndIsr: ({ states, controllerId, controllerEpoch }) => {
        done.push(`${states.map(({ topic }) => topic).join()} by ${controllerId} in ${controllerEpoch}`)
        return states.map(({ topic, partition }) => ({ topic, partition, error: ErrorCode.NONE }))
      },
      stopReplicas: (replicas) => {
        done.push('stopped')
        return replicas.map(({ topic, partition }) => ({ topic, partition, error: ErrorCode.NONE }))
      },
    },
    topicConfigs: {
      load: async (topics) => {
        await settings.load(topics)
        done.push(`settings of ${[...topics].join()}`)
      },
    },
    topicsDeleted: (topics) => void done.push(`forgets ${[...topics].join()}`),
    partitionsDeleted: (partitions) => void done.push(`${partitions.length} partitions deleted`),
  })
  return { controlPlane, done, settings }
}

test('partitions are applied when the settings of their topics are known', async () => {
  const { controlPlane, done } = plane()
  const answer = await controlPlane.leaderAndIsr(from(3), [state('a'), state('b')])
  expect(done).toEqual(['settings of a,b', 'a,b by 2 in 3'])
  const partitions = ['a', 'b'].map((topic) => ({ topic, partition: 0, error: ErrorCode.NONE }))
  expect(answer).toEqual({ error: ErrorCode.NONE, partitions })
})

test('what was sent to a registration that has ended is refused, also where it was being prepared', async () => {
  const { controlPlane, done, settings } = plane()
  let loaded = (): void => undefined
  settings.load = () => new Promise((resolve) => (loaded = resolve))
  const answer = controlPlane.leaderAndIsr(from(3), [state('a')])
  const next = controlPlane.updateMetadata(from(3), NOTHING)
  await Promise.resolve()
  controlPlane.sessionExpired()
  loaded()
  const stale = { error: ErrorCode.STALE_BROKER_EPOCH, partitions: [] }
  expect(await answer).toEqual(stale)
  expect(await next).toEqual(stale)
  expect(done).toEqual(['settings of a'])
  const renewed = from(3, BROKER_EPOCH + 1)
  expect((await controlPlane.updateMetadata(renewed, NOTHING)).error).toBe(ErrorCode.NONE)
})

test('a request for an earlier life of the broker is refused; one for a later life, or for any, is taken', async () => {
  const { controlPlane, done } = plane()
  const earlier = from(3, BROKER_EPOCH - 1)
  const stale = { error: ErrorCode.STALE_BROKER_EPOCH, partitions: [] }
  expect(await controlPlane.updateMetadata(earlier, NOTHING)).toEqual(stale)
  expect(await controlPlane.leaderAndIsr(earlier, [state('a')])).toEqual(stale)
  expect(await controlPlane.stopReplicas(earlier, [])).toEqual(stale)
  expect(done).toEqual([])
  for (const epoch of [BROKER_EPOCH, BROKER_EPOCH + 1, UNKNOWN_EPOCH])
    expect((await controlPlane.updateMetadata(from(3, epoch), NOTHING)).error).toBe(ErrorCode.NONE)
})

test('a controller that another one has followed is refused', async () => {
  const { controlPlane, done } = plane()
  await controlPlane.updateMetadata(from(3), NOTHING)
  await controlPlane.updateMetadata(from(5), NOTHING)
  const stale = { error: ErrorCode.STALE_CONTROLLER_EPOCH, partitions: [] }
  expect(await controlPlane.updateMetadata(from(4), NOTHING)).toEqual(stale)
  expect(await controlPlane.leaderAndIsr(from(4), [state('a')])).toEqual(stale)
  expect(await controlPlane.stopReplicas(from(4), [])).toEqual(stale)
  expect(done).toEqual(['metadata of 2', 'metadata of 2'])
  expect((await controlPlane.updateMetadata(from(5), NOTHING)).error).toBe(ErrorCode.NONE)
})

test('an epoch of a request that is refused for its broker epoch is not remembered', async () => {
  const { controlPlane } = plane()
  await controlPlane.updateMetadata(from(9, BROKER_EPOCH - 1), NOTHING)
  expect((await controlPlane.updateMetadata(from(3), NOTHING)).error).toBe(ErrorCode.NONE)
})

test('requests are served one after the other, also where the first waits for settings', async () => {
  const { controlPlane, done, settings } = plane()
  let release = (): void => undefined
  settings.load = () => new Promise<void>((resolve) => (release = resolve))
  const first = controlPlane.leaderAndIsr(from(3), [state('a')])
  const second = controlPlane.stopReplicas(from(3), [])
  const third = controlPlane.updateMetadata(from(3), NOTHING)
  await new Promise((resolve) => setImmediate(resolve))
  expect(done).toEqual([])
  release()
  await Promise.all([first, second, third])
  expect(done).toEqual(['settings of a', 'a by 2 in 3', 'stopped', 'metadata of 2'])
})

test('settings that cannot be read reject the request, and the next one is served', async () => {
  const { controlPlane, done, settings } = plane()
  settings.load = () => Promise.reject(new CoordinationError('CONNECTION_LOSS', '/config/topics/a'))
  await expect(controlPlane.leaderAndIsr(from(3), [state('a')])).rejects.toThrow('CONNECTION_LOSS')
  expect(done).toEqual([])
  expect((await controlPlane.updateMetadata(from(3), NOTHING)).error).toBe(ErrorCode.NONE)
})

test('what is being deleted is forgotten before the metadata change, and its partitions are reported after it', async () => {
  const { controlPlane, done } = plane()
  const partitions = [state('gone', LEADER_DURING_DELETE), state('kept')]
  await controlPlane.updateMetadata(from(3), { brokers: [], partitions })
  expect(done).toEqual(['forgets gone', 'metadata of 2', '1 partitions deleted'])
})

test("the controller's own channel speaks to one life of its broker", async () => {
  const { controlPlane } = plane()
  const identity = { controllerId: 1, controllerEpoch: 3 }
  const earlier = localChannel(controlPlane, BROKER_EPOCH - 1)
  expect((await earlier.updateMetadata(identity, NOTHING)).error).toBe(ErrorCode.STALE_BROKER_EPOCH)
  const present = localChannel(controlPlane, BROKER_EPOCH)
  expect((await present.updateMetadata(identity, NOTHING)).error).toBe(ErrorCode.NONE)
  expect((await present.leaderAndIsr(identity, [state('a')], [])).error).toBe(ErrorCode.NONE)
  expect((await present.stopReplicas(identity, [])).error).toBe(ErrorCode.NONE)
})

test('the settings of a topic that is new are read anew: this broker may not have heard that it was deleted before', async () => {
  let retentionMs = '1'
  const topicConfigs = new TopicConfigs(new BrokerConfig({}), async () => ({ 'retention.ms': retentionMs }))
  const controlPlane = new ControlPlane({
    brokerEpoch: () => BROKER_EPOCH,
    metadata: { updateMetadata: () => undefined },
    replicas: { applyLeaderAndIsr: () => [], stopReplicas: () => [] },
    topicConfigs,
    topicsDeleted: () => undefined,
    partitionsDeleted: () => undefined,
  })
  const { retentionMs: before } = await configAfter({ ...state('t'), isNew: true })
  retentionMs = '2'
  expect((await configAfter(state('t'))).retentionMs).toBe(before)
  expect((await configAfter({ ...state('t'), isNew: true })).retentionMs).toBe(2)

  async function configAfter(told: PartitionState) {
    await controlPlane.leaderAndIsr(from(1), [told])
    return topicConfigs.logConfig('t')
  }
})

test.each([-1, 100_000, 0x7fffffff])(
  'of a partition with the number %s nothing is taken',
  async (partition) => {
    const { controlPlane, done } = plane()
    const states = [state('t'), { ...state('t'), partition }]
    const refused = { error: ErrorCode.INVALID_REQUEST, partitions: [] }
    expect(await controlPlane.leaderAndIsr(from(1), states)).toEqual(refused)
    expect(await controlPlane.updateMetadata(from(1), { brokers: [], partitions: states })).toEqual(refused)
    expect(done).toEqual([])
  },
)
