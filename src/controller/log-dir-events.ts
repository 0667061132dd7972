/**
 * What brokers write for the controller to read. That a log directory of theirs has failed: sequential znodes below
 * /log_dir_event_notification that name the broker. Which replicas it has lost the controller finds out by LeaderAndIsr.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession, Watch } from '../env/coordination.ts'
import type { Logger, Timers } from '../env/env.ts'
import { readNode } from './read-cluster.ts'
import type { FencedWrites } from './fenced-writes.ts'
import {
  ISR_CHANGES_PATH,
  LOG_DIR_EVENTS_PATH,
  LOG_DIR_EVENT_PREFIX,
  decodeLogDirEvent,
  decodePartitions,
  encodeLogDirEvent,
} from './znodes.ts'

const RETRY_MS = 1000
const EVENTS_PER_MULTI = 3000

/** Writes the event; tries until it is written or the session is over. */
export async function tellOfFailedLogDir(
  world: { session: CoordinationSession; timers: Timers; logger: Logger },
  brokerId: number,
): Promise<void> {
  const { session, timers, logger } = world
  try {
    await session.create(LOG_DIR_EVENT_PREFIX, encodeLogDirEvent(brokerId), 'persistent_sequential')
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error
    if (error.code === 'SESSION_EXPIRED') return
    logger.log('warn', 'the controller cannot be told of the log directory', { error: error.message })
    timers.after(RETRY_MS, () => void tellOfFailedLogDir(world, brokerId))
  }
}

/** The events that wait and the brokers that they name; leaves a watch. */
export async function readLogDirEvents(
  session: CoordinationSession,
  watch: Watch,
): Promise<{ paths: string[]; brokers: Set<number> }> {
  const names = await session.children(LOG_DIR_EVENTS_PATH, watch)
  const paths = names.map((name) => `${LOG_DIR_EVENTS_PATH}/${name}`)
  const nodes = await Promise.all(paths.map((path) => readNode(session, path)))
  const brokers = nodes.map((node) => decodeLogDirEvent(node?.data ?? null))
  return { paths, brokers: new Set(brokers.filter((id) => id !== null)) }
}

/**
 * The partitions that leaders older than AlterPartition (Kafka before 2.7) say to have written themselves, and the events
 * that say it; leaves a watch.
 */
export async function readIsrChanges(
  session: CoordinationSession,
  watch: Watch,
): Promise<{ paths: string[]; partitions: { topic: string; partition: number }[] }> {
  const names = await session.children(ISR_CHANGES_PATH, watch)
  const paths = names.map((name) => `${ISR_CHANGES_PATH}/${name}`)
  const nodes = await Promise.all(paths.map((path) => readNode(session, path)))
  return { paths, partitions: nodes.flatMap((node) => decodePartitions(node?.data ?? null)) }
}

/** Events that have been dealt with. */
export async function deleteEvents(writes: FencedWrites, paths: readonly string[]): Promise<void> {
  for (let start = 0; start < paths.length; start += EVENTS_PER_MULTI) {
    const chunk = paths.slice(start, start + EVENTS_PER_MULTI)
    try {
      await writes.multi(chunk.map((path) => ({ type: 'delete', path })))
    } catch (error) {
      // Gone already, in an attempt whose answer was lost: what else there is will be found with the next event.
      const isGone = error instanceof CoordinationError && error.code === 'NO_NODE'
      if (!isGone) throw error
    }
  }
}
