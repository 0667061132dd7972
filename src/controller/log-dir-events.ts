/**
 * How brokers tell the controller that a log directory of theirs has failed: sequential znodes below
 * /log_dir_event_notification that name the broker. Which replicas it has lost the controller finds out by LeaderAndIsr.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CoordinationSession, Watch } from '../env/coordination.ts'
import type { Logger, Timers } from '../env/env.ts'
import { readNode } from './cluster-state.ts'
import type { FencedWrites } from './fenced-writes.ts'
import { decodeLogDirEvent, encodeLogDirEvent, LOG_DIR_EVENTS_PATH, LOG_DIR_EVENT_PREFIX } from './znodes.ts'

const RETRY_MS = 1000

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

export async function deleteLogDirEvents(writes: FencedWrites, paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await writes.multi(paths.map((path) => ({ type: 'delete', path })))
}
