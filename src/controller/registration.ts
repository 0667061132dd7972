/** A broker's entry into the cluster: the first znodes, the cluster's id, its own id, its registration. */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationOperation, CoordinationSession } from '../env/coordination.ts'
import {
  BROKER_SEQUENCE_PATH,
  CLUSTER_ID_PATH,
  INITIAL_PATHS,
  brokerPath,
  decodeBroker,
  decodeClusterId,
  decodeTransactionVersion,
  encodeBroker,
  encodeClusterId,
} from './znodes.ts'
import type { BrokerEndpoint } from './znodes.ts'

/**
 * Makes the initial znodes where they are missing, in one multi, and returns the cluster's id: the one that is there,
 * else `newClusterId`. Two brokers that do this at once agree.
 */
export async function prepareCluster(session: CoordinationSession, newClusterId: string): Promise<string> {
  for (;;) {
    const paths = [...INITIAL_PATHS, '/cluster']
    const [clusterId, ...stats] = await Promise.all([
      readOrNull(session, CLUSTER_ID_PATH),
      ...paths.map((path) => session.exists(path)),
    ])
    const missing = paths.filter((_, index) => stats[index] === null)
    const known = decodeClusterId(clusterId)
    if (missing.length === 0 && known !== null) return known
    const create = missing.map((path): CoordinationOperation => ({ type: 'create', path, data: null }))
    if (known === null)
      create.push({ type: 'create', path: CLUSTER_ID_PATH, data: encodeClusterId(newClusterId) })
    try {
      await session.multi(create)
      return known ?? newClusterId
    } catch (error) {
      // Another broker was quicker: read again what it made.
      if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
    }
  }
}

/** A broker id that no broker of the cluster has had, above `reservedMaxId` (`reserved.broker.max.id`). */
export async function generateBrokerId(session: CoordinationSession, reservedMaxId: number): Promise<number> {
  const stat = await session.set(BROKER_SEQUENCE_PATH, Buffer.alloc(0))
  return stat.version + reservedMaxId
}

export interface BrokerRegistration {
  readonly id: number
  readonly endpoints: readonly BrokerEndpoint[]
  readonly rack: string | null
  readonly timestampMs: number
  readonly transactionVersion?: number
}

/**
 * Registers the broker until the session ends and returns its epoch. Rejects with NODE_EXISTS when another session holds
 * the id.
 */
export async function registerBroker(
  session: CoordinationSession,
  broker: BrokerRegistration,
): Promise<number> {
  const path = brokerPath(broker.id)
  try {
    const results = await session.multi([
      { type: 'create', path, data: null, mode: 'ephemeral' },
      { type: 'set', path, data: encodeBroker(broker), version: 0 },
    ])
    const last = results[1]
    if (last.type === 'set') return last.stat.czxid
  } catch (error) {
    if (!(error instanceof CoordinationError && error.code === 'NODE_EXISTS')) throw error
    const stat = await session.exists(path)
    // A reply that was lost on the way: the registration is ours.
    if (stat !== null && stat.ephemeralOwner === session.id) return stat.czxid
  }
  throw new CoordinationError('NODE_EXISTS', path)
}

export interface RegisteredBroker {
  /** That made the registration. */
  readonly session: bigint
  /** Empty where the registration cannot be read. */
  readonly endpoints: readonly BrokerEndpoint[]
}

/** Who is registered with this id; null: nobody. */
export async function readBrokerAt(
  session: CoordinationSession,
  id: number,
): Promise<RegisteredBroker | null> {
  try {
    const { data, stat } = await session.get(brokerPath(id))
    return { session: stat.ephemeralOwner, endpoints: decodeBroker(data)?.endpoints ?? [] }
  } catch (error) {
    if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
    throw error
  }
}

/** The highest `transaction.version` that a registered broker serves (0: none); null: it is not registered. */
export async function readBrokerFeatures(
  session: Pick<CoordinationSession, 'get'>,
  id: number,
): Promise<number | null> {
  try {
    return decodeTransactionVersion((await session.get(brokerPath(id))).data)
  } catch (error) {
    if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
    throw error
  }
}

/** Removes an ephemeral node that a session which is over left at `path`; nothing where it is not there any more. */
export async function removeEphemeral(
  session: CoordinationSession,
  path: string,
  owner: bigint,
): Promise<void> {
  const stat = await session.exists(path)
  if (stat === null || stat.ephemeralOwner !== owner) return
  try {
    await session.delete(path, stat.version)
  } catch (error) {
    const isGone = error instanceof CoordinationError && ['NO_NODE', 'BAD_VERSION'].includes(error.code)
    if (!isGone) throw error
  }
}

async function readOrNull(session: CoordinationSession, path: string): Promise<Buffer | null> {
  try {
    return (await session.get(path)).data
  } catch (error) {
    if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
    throw error
  }
}
