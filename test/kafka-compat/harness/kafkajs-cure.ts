/**
 * Fault of kafkajs 2.2: a consumer that is stopped just when the brokers that it fetches from change makes new fetchers, which
 * find it stopped, fetch nothing, and try again at once and without end, in promises alone: nothing else runs in its process
 * any more. It lets others run between two tries here.
 */
import { createRequire } from 'node:module'
import { pause } from './conditions.ts'

interface Runner {
  running: boolean
  fetch(nodeId: string): Promise<unknown[]>
}

const TRY_AGAIN_MS = 50

const Runner = createRequire(import.meta.url)('kafkajs/src/consumer/runner.js') as { prototype: Runner }
const { fetch } = Runner.prototype

Runner.prototype.fetch = async function fetchUnlessStopped(this: Runner, nodeId: string) {
  if (!this.running) await pause(TRY_AGAIN_MS)
  return fetch.call(this, nodeId)
}
