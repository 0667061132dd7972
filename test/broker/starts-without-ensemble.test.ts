/** A broker whose ensemble goes away while it starts, in virtual time: it starts all the same, when the ensemble is there again. */
import { expect, test } from 'vitest'
import { SimCluster } from '../sim/cluster.ts'

/** Longer than two thirds of a session, after which its client takes the connection for lost, and shorter than the session. */
const SESSION_TIMEOUT_MS = 2000
const AWAY_MS = 1600

test('an ensemble that goes away for a moment, at whatever step of a start, does not end the broker', async () => {
  const cluster = new SimCluster({
    seed: 3,
    properties: { 'zookeeper.session.timeout.ms': String(SESSION_TIMEOUT_MS) },
  })
  await cluster.start()
  const node = cluster.nodes[2]
  let disturbed = 0
  for (const afterMs of Array(25).keys()) {
    expect(await cluster.scheduler.until(node.stop(), 60_000)).toBe(true)
    const { lives } = node
    node.start()
    await cluster.scheduler.advance(afterMs)
    if (node.broker === null) disturbed++
    cluster.ensemble.setAvailable(false)
    await cluster.scheduler.advance(AWAY_MS)
    cluster.ensemble.setAvailable(true)
    await cluster.until(() => node.broker !== null, 30_000, 'the broker serves')
    expect(node.lives).toBe(lives + 1)
  }
  expect(disturbed).toBeGreaterThan(3)
  expect(cluster.lines.some((line) => line.includes('was disconnected during the start'))).toBe(true)
  expect(cluster.bugs).toEqual([])
})
