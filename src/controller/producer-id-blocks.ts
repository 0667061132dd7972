/** Blocks of producer ids for brokers (AllocateProducerIds, KIP-730): what a block contains no other ever does. */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession } from '../env/coordination.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { readNode } from './read-cluster.ts'
import type { Term } from './term.ts'
import { PRODUCER_ID_BLOCK_PATH, decodeProducerIdBlock, encodeProducerIdBlock } from './znodes.ts'

export const PRODUCER_ID_BLOCK_SIZE = 1000

export interface AllocatedProducerIds {
  readonly error: number
  /** 0 after an error. */
  readonly firstId: number
  readonly count: number
}

export const refusedProducerIds = (error: number): AllocatedProducerIds => ({ error, firstId: 0, count: 0 })

export async function allocateProducerIds(
  { state, session }: Term,
  broker: number,
  brokerEpoch: number,
): Promise<AllocatedProducerIds> {
  const known = state.brokers.get(broker)
  if (known === undefined) return refusedProducerIds(ErrorCode.BROKER_ID_NOT_REGISTERED)
  if (known.epoch !== brokerEpoch) return refusedProducerIds(ErrorCode.STALE_BROKER_EPOCH)
  const firstId = await claimBlock(session, broker)
  return { error: ErrorCode.NONE, firstId, count: PRODUCER_ID_BLOCK_SIZE }
}

/**
 * For a store that has handed out none: the ids up to `producerId` (-1: none) are in use, and so may be some above it in its
 * block, or in the one after. Rejects with CoordinationError.
 */
export async function startProducerIdsAbove(
  session: CoordinationSession,
  broker: number,
  producerId: number,
): Promise<void> {
  if (producerId < 0) return
  const lastId = (Math.floor(producerId / PRODUCER_ID_BLOCK_SIZE) + 2) * PRODUCER_ID_BLOCK_SIZE - 1
  const firstId = lastId - PRODUCER_ID_BLOCK_SIZE + 1
  await session.set(PRODUCER_ID_BLOCK_PATH, encodeProducerIdBlock({ broker, firstId, lastId }))
}

/** By compare and set alone, as Kafka does: whoever writes, no id is in two blocks. */
async function claimBlock(session: CoordinationSession, broker: number): Promise<number> {
  for (;;) {
    const node = await readNode(session, PRODUCER_ID_BLOCK_PATH)
    const latest = decodeProducerIdBlock(node?.data ?? null)
    const firstId = latest === null ? 0 : latest.lastId + 1
    const lastId = firstId + PRODUCER_ID_BLOCK_SIZE - 1
    const data = encodeProducerIdBlock({ broker, firstId, lastId })
    try {
      if (node === null) await session.create(PRODUCER_ID_BLOCK_PATH, data)
      else await session.set(PRODUCER_ID_BLOCK_PATH, data, node.stat.version)
      return firstId
    } catch (error) {
      const isRace = error instanceof CoordinationError
      if (!isRace || (error.code !== 'BAD_VERSION' && error.code !== 'NODE_EXISTS')) throw error
    }
  }
}
