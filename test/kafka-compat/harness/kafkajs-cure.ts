/**
 * Faults of kafkajs 2.2, cured here.
 *
 * A consumer that is stopped just when the brokers that it fetches from change makes new fetchers, which
 * find it stopped, fetch nothing, and try again at once and without end, in promises alone: nothing else runs in its process
 * any more. It lets others run between two tries here.
 *
 * A broker that took the connection and did not answer its first request in time counts as connected from then on, though it has
 * never said which requests it knows: all that is sent to it fails with "Broker not connected", without end. It counts as
 * connected here when its `connect` has come to an end.
 */
import { createRequire } from 'node:module'
import { pause } from './conditions.ts'

interface Runner {
  running: boolean
  fetch(nodeId: string): Promise<unknown[]>
}

interface Broker {
  connect(): Promise<void>
  isConnected(): boolean
}

const TRY_AGAIN_MS = 50

const requireOf = createRequire(import.meta.url)
const Runner = requireOf('kafkajs/src/consumer/runner.js') as { prototype: Runner }
const Broker = requireOf('kafkajs/src/broker/index.js') as { prototype: Broker }
const { fetch } = Runner.prototype

Runner.prototype.fetch = async function fetchUnlessStopped(this: Runner, nodeId: string) {
  if (!this.running) await pause(TRY_AGAIN_MS)
  return fetch.call(this, nodeId)
}

const { connect, isConnected } = Broker.prototype
const known = new WeakSet<Broker>()

Broker.prototype.connect = async function connectAndKnow(this: Broker) {
  await connect.call(this)
  known.add(this)
}

Broker.prototype.isConnected = function isConnectedAndKnown(this: Broker) {
  return known.has(this) && isConnected.call(this)
}
