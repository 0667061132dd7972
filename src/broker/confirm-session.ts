/**
 * Whether this broker's session with the coordination service holds: asked until the service has answered. `expired` speaks of
 * the session that is used now. One that has been replaced meanwhile has told its end itself (its state); whoever resigned at
 * the late news of it would give up what the controller has said to the new one, and would not be told again.
 */
import { CONTROLLER_PATH } from '../controller/znodes.ts'
import { CoordinationError, type CoordinationSession } from '../env/coordination.ts'
import type { Timers } from '../env/env.ts'

const RETRY_MS = 100

export async function confirmSession(
  session: Pick<CoordinationSession, 'exists' | 'id'>,
  timers: Timers,
): Promise<'sound' | 'expired'> {
  for (;;) {
    const { id } = session
    try {
      await session.exists(CONTROLLER_PATH)
      return 'sound'
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (error.code === 'SESSION_EXPIRED' && session.id === id) return 'expired'
    }
    await new Promise<void>((resolve) => void timers.after(RETRY_MS, resolve))
  }
}
