/** Three whole brokers in virtual time, whose ensemble is away: each still stops, and soon (docs/cluster.md). */
import { expect, test } from 'vitest'
import { createTopic } from '../sim/clients.ts'
import { SimCluster } from '../sim/cluster.ts'

const BACKOFF_MS = 5000
/** What closing the session may take. */
const CLOSE_MS = 3000

for (const isController of [true, false]) {
  const who = isController ? 'the controller' : 'a broker that is not the controller'
  test(`${who} stops when it has been without its ensemble for one backoff, and not with the age of a request`, async () => {
    const hours = String(3_600_000)
    const cluster = new SimCluster({
      seed: 5,
      properties: {
        'controlled.shutdown.retry.backoff.ms': String(BACKOFF_MS),
        'controller.socket.timeout.ms': hours,
        'request.timeout.ms': hours,
      },
    })
    await cluster.start()
    await cluster.scheduler.until(createTopic(cluster, { name: 't', partitions: 3 }), 20_000)
    cluster.ensemble.setAvailable(false)
    await cluster.scheduler.advance(100)
    const node = cluster.nodes.find(({ broker }) => broker!.parts.controller.isActive === isController)!
    const { elapsedMs } = cluster.scheduler
    await cluster.scheduler.until(node.stop(), 600_000)
    const tookMs = cluster.scheduler.elapsedMs - elapsedMs
    expect(tookMs).toBeGreaterThan(BACKOFF_MS / 2)
    expect(tookMs).toBeLessThanOrEqual(BACKOFF_MS + CLOSE_MS + 1000)
    cluster.ensemble.setAvailable(true)
    node.start()
    const isBack = (): boolean => {
      const leaders = cluster.nodes.map((each) => each.broker?.parts.services.metadata.topic('t')?.partitions)
      return leaders.every((partitions) =>
        partitions?.every(({ leader, isr }) => leader > 0 && isr.length === 3),
      )
    }
    await cluster.until(isBack, 60_000, 'all replicas are in sync again')
    expect(cluster.bugs).toEqual([])
  })
}
