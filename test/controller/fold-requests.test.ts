import { expect, test } from 'vitest'
import { BrokerChannels, type BrokerRequest } from '../../src/controller/broker-channels.ts'
import { foldRequest } from '../../src/controller/fold-requests.ts'
import type { BrokerInfo, PartitionState } from '../../src/controller/metadata.ts'
import { NetworkError } from '../../src/env/network.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

const broker = (id: number): BrokerInfo => ({ id, epoch: 1, rack: null, endpoints: [] })

function state(partition: number, leaderEpoch: number, change: Partial<PartitionState> = {}): PartitionState {
  const lists = { isr: [1], replicas: [1], addingReplicas: [], removingReplicas: [], offlineReplicas: [] }
  const flags = { isNew: false, recovering: false }
  const epochs = { controllerEpoch: 1, leaderEpoch, partitionEpoch: leaderEpoch }
  return { topic: 't', topicId: 'first', partition, leader: 1, ...epochs, ...lists, ...flags, ...change }
}

const lead = (...states: PartitionState[]): BrokerRequest => {
  return {
    type: 'leaderAndIsr',
    states,
    leaders: [...new Set(states.map(({ leader }) => leader))].map(broker),
  }
}
const metadata = (brokers: number[], ...partitions: PartitionState[]): BrokerRequest => {
  return { type: 'updateMetadata', update: { brokers: brokers.map(broker), partitions } }
}
const stop = (partition: number): BrokerRequest => {
  return { type: 'stopReplicas', replicas: [{ topic: 't', partition, leaderEpoch: 1, deleteLog: true }] }
}

function folded(...requests: BrokerRequest[]): BrokerRequest[] {
  const waiting: BrokerRequest[] = []
  for (const request of requests) foldRequest(waiting, request)
  return waiting
}

test('of each partition the latest state waits, and the live brokers of now', () => {
  const first = metadata([1])
  const old = [lead(state(0, 1, { isNew: true }), state(1, 1)), metadata([1], state(0, 1), state(1, 1))]
  const fresh = [lead(state(0, 2, { leader: 2 })), metadata([1, 2], state(0, 2, { leader: 2 }))]
  expect(folded(first, ...old, ...fresh)).toEqual([
    first,
    metadata([1, 2], state(0, 2, { leader: 2 }), state(1, 1)),
    { ...lead(state(0, 2, { leader: 2, isNew: true }), state(1, 1)), leaders: [broker(1), broker(2)] },
  ])
})

test('the first is left as it is, for it may be under way', () => {
  const requests = [metadata([1], state(0, 1)), metadata([1, 2], state(0, 2))]
  expect(folded(...requests)).toEqual(requests)
})

test('a replica that was stopped and is to lead again hears it in that order', () => {
  const requests = [metadata([1]), lead(state(0, 1)), stop(0), lead(state(0, 2))]
  expect(folded(...requests)).toEqual(requests)
})

test('two lives of a topic stay two', () => {
  const again = { topicId: 'second' }
  const requests = [
    metadata([1]),
    metadata([1], state(0, 1, { leader: -2 })),
    lead(state(0, 1)),
    metadata([1], state(0, 0, again)),
    lead(state(0, 0, again)),
  ]
  expect(folded(...requests)).toEqual(requests)
})

test('what a broker ends up with is the same, whatever came while it could not be told', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed)
    const below = (count: number): number => Math.floor(random.next() * count)
    const requests = Array.from({ length: 30 }, (_, epoch): BrokerRequest => {
      const partition = below(3)
      if (below(3) === 0) return stop(partition)
      return below(2) === 0 ? lead(state(partition, epoch)) : metadata([epoch], state(partition, epoch))
    })
    expect(outcomeOf(folded(...requests)), `seed ${seed}`).toEqual(outcomeOf(requests))
  }
})

/** Hosted partitions, known partitions and live brokers after these. */
function outcomeOf(requests: readonly BrokerRequest[]) {
  const hosted = new Map<number, number>()
  const known = new Map<number, number>()
  let live: number[] = []
  for (const request of requests) {
    if (request.type === 'leaderAndIsr')
      for (const { partition, leaderEpoch } of request.states) hosted.set(partition, leaderEpoch)
    else if (request.type === 'stopReplicas')
      for (const { partition } of request.replicas) hosted.delete(partition)
    else {
      live = request.update.brokers.map(({ id }) => id)
      for (const { partition, leaderEpoch } of request.update.partitions) known.set(partition, leaderEpoch)
    }
  }
  const sorted = (map: Map<number, number>) => [...map].sort(([one], [other]) => one - other)
  return { hosted: sorted(hosted), known: sorted(known), live }
}

test('a broker that cannot be told for long is told in a few requests when it can', async () => {
  const scheduler = new SimScheduler()
  let isAway = true
  const told: string[] = []
  const answer = (name: string) => {
    if (isAway) return Promise.reject(new NetworkError('TIMED_OUT', 'cut off'))
    told.push(name)
    return Promise.resolve({ error: 0, partitions: [] })
  }
  const channels = new BrokerChannels({
    from: { controllerId: 1, controllerEpoch: 1 },
    timers: scheduler.timers,
    logger: { log: () => undefined },
    channelTo: () => ({
      leaderAndIsr: () => answer('leaderAndIsr'),
      updateMetadata: () => answer('updateMetadata'),
      stopReplicas: () => answer('stopReplicas'),
      onLost: () => undefined,
      close: () => undefined,
    }),
    answered: () => undefined,
    lost: () => undefined,
  })
  channels.add(broker(2), { hasServed: true })
  channels.send(2, metadata([1]))
  await scheduler.settle()
  for (let epoch = 0; epoch < 1000; epoch++) {
    channels.send(2, lead(state(epoch % 2, epoch)))
    channels.send(2, metadata([1], state(epoch % 2, epoch)))
  }
  isAway = false
  await scheduler.advance(100)
  expect(told).toEqual(['updateMetadata', 'updateMetadata', 'leaderAndIsr'])
  channels.close()
})
