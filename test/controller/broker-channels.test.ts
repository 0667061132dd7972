import { expect, test } from 'vitest'
import { BrokerChannels } from '../../src/controller/broker-channels.ts'
import type { BrokerRequest } from '../../src/controller/broker-channels.ts'
import type { BrokerInfo } from '../../src/controller/metadata.ts'
import { NetworkError } from '../../src/env/network.ts'
import type { NetworkErrorCode } from '../../src/env/network.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

const brokerOf = (id: number, epoch = 1): BrokerInfo => ({ id, epoch, rack: null, endpoints: [] })
const stop = (partition: number): BrokerRequest => {
  return { type: 'stopReplicas', replicas: [{ topic: 't', partition, leaderEpoch: 0, deleteLog: false }] }
}

/** Channels whose brokers answer when the test says so. */
function openChannels() {
  const scheduler = new SimScheduler()
  const asked: { broker: BrokerInfo; partition: number; finish: (error: Error | null) => void }[] = []
  const answered: string[] = []
  const lost: string[] = []
  const closed: string[] = []
  const nameOf = ({ id, epoch }: BrokerInfo): string => `${id} in life ${epoch}`
  const connections = new Map<string, () => void>()
  const channels = new BrokerChannels({
    from: { controllerId: 1, controllerEpoch: 7 },
    timers: scheduler.timers,
    logger: { log: () => undefined },
    channelTo: (broker) => ({
      leaderAndIsr: () => Promise.reject(new Error('not asked here')),
      updateMetadata: () => Promise.reject(new Error('not asked here')),
      stopReplicas: (_, [{ partition }]) => {
        return new Promise((resolve, reject) => {
          const finish = (error: Error | null): void => {
            if (error === null) resolve({ error: 0, partitions: [] })
            else reject(error)
          }
          asked.push({ broker, partition, finish })
        })
      },
      onLost: (listener) => void connections.set(nameOf(broker), listener),
      close: () => void closed.push(nameOf(broker)),
    }),
    answered: (broker, request) => {
      if (request.type === 'stopReplicas')
        answered.push(`${nameOf(broker)}: ${request.replicas[0].partition}`)
    },
    lost: (broker) => void lost.push(nameOf(broker)),
  })
  const answer = (error: NetworkErrorCode | null = null) => {
    asked.shift()!.finish(error === null ? null : new NetworkError(error, 'a broker that does not answer'))
    return scheduler.settle()
  }
  return { scheduler, channels, asked, answered, lost, closed, connections, answer }
}

test('a broker is asked one thing at a time, in order; other brokers do not wait for it', async () => {
  const { channels, asked, answered, answer, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: true })
  channels.add(brokerOf(2), { hasServed: true })
  for (const partition of [0, 1]) channels.send(1, stop(partition))
  channels.send(2, stop(5))
  await scheduler.settle()
  expect(asked.map(({ broker, partition }) => [broker.id, partition])).toEqual([
    [1, 0],
    [2, 5],
  ])
  asked.reverse()
  await answer()
  expect(answered).toEqual(['2 in life 1: 5'])
  await answer()
  await answer()
  expect(answered).toEqual(['2 in life 1: 5', '1 in life 1: 0', '1 in life 1: 1'])
})

test('what could not be sent is sent again after 100 ms, before what came later', async () => {
  const { channels, asked, answered, answer, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: true })
  for (const partition of [0, 1]) channels.send(1, stop(partition))
  await answer('TIMED_OUT')
  await scheduler.advance(99)
  expect(asked).toEqual([])
  await scheduler.advance(1)
  await answer('CLOSED')
  await scheduler.advance(100)
  await answer()
  await answer()
  expect(answered).toEqual(['1 in life 1: 0', '1 in life 1: 1'])
})

test('a broker that was removed is told nothing more, and what it still answers is not heard', async () => {
  const { channels, asked, answered, closed, answer, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: true })
  for (const partition of [0, 1]) channels.send(1, stop(partition))
  channels.remove(1)
  channels.send(1, stop(2))
  await answer()
  await scheduler.advance(1000)
  expect([asked, answered, closed]).toEqual([[], [], ['1 in life 1']])
})

test('a broker that has started anew is not told what its life before was to hear', async () => {
  const { channels, answered, answer, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: true })
  channels.send(1, stop(0))
  await answer('CLOSED')
  channels.add(brokerOf(1, 2), { hasServed: true })
  channels.send(1, stop(1))
  await answer()
  await scheduler.advance(1000)
  expect(answered).toEqual(['1 in life 2: 1'])
})

test('a broker whose port refuses is reported as lost, whether something is sent to it or not', async () => {
  const { channels, lost, answer, connections, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: true })
  channels.send(1, stop(0))
  await answer('CLOSED')
  await scheduler.advance(100)
  expect(lost).toEqual([])
  await answer('REFUSED')
  connections.get('1 in life 1')!()
  expect(lost).toEqual(['1 in life 1', '1 in life 1'])
  channels.remove(1)
  connections.get('1 in life 1')!()
  expect(lost).toHaveLength(2)
})

test('a new broker whose port is not open yet is not lost', async () => {
  const { channels, lost, answer, scheduler } = openChannels()
  channels.add(brokerOf(1), { hasServed: false })
  for (const partition of [0, 1]) channels.send(1, stop(partition))
  await answer('REFUSED')
  await scheduler.advance(100)
  await answer()
  expect(lost).toEqual([])
  await answer('REFUSED')
  expect(lost).toEqual(['1 in life 1'])
})

test('told() waits until a broker has heard everything, but not for one that cannot be told', async () => {
  const { channels, answer, scheduler } = openChannels()
  const events: string[] = []
  channels.add(brokerOf(1), { hasServed: true })
  channels.add(brokerOf(2), { hasServed: true })
  channels.send(1, stop(0))
  channels.send(2, stop(0))
  for (const id of [1, 2, 3]) void channels.told(id).then(() => events.push(`told ${id}`))
  await scheduler.settle()
  expect(events).toEqual(['told 3'])
  await answer()
  await answer('TIMED_OUT')
  expect(events).toEqual(['told 3', 'told 1', 'told 2'])
})
