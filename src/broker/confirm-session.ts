/**
 * Whether this broker's session with the coordination service holds: asked until the service has answered. `expired` speaks of
 * the session that is used now. One that has been replaced meanwhile has told its end itself (its state); whoever resigned at
 * the late news of it would give up what the controller has said to the new one, and would not be told again.
 */
import {
  CoordinationError,
  type CoordinationOperation,
  type CoordinationSession,
} from '../env/coordination.ts'
import type { Timers } from '../env/env.ts'

const RETRY_MS = 100

/** A read is answered by the server at hand, which may be behind; this, though it changes nothing, by the ensemble. */
const NOTHING_CHANGED: CoordinationOperation = { type: 'check', path: '/', version: -1 }

export async function confirmSession(
  session: Pick<CoordinationSession, 'multi' | 'id'>,
  timers: Timers,
): Promise<'sound' | 'expired'> {
  for (;;) {
    const { id } = session
    try {
      await session.multi([NOTHING_CHANGED])
      return 'sound'
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (error.code === 'SESSION_EXPIRED' && session.id === id) return 'expired'
    }
    await new Promise<void>((resolve) => void timers.after(RETRY_MS, resolve))
  }
}
