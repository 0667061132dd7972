/** Whether this broker's session with the coordination service holds: asked until the service has answered. */
import { CONTROLLER_PATH } from '../controller/znodes.ts'
import { CoordinationError, type CoordinationSession } from '../env/coordination.ts'
import type { Timers } from '../env/env.ts'

const RETRY_MS = 100

export async function confirmSession(
  session: CoordinationSession,
  timers: Timers,
): Promise<'sound' | 'expired'> {
  for (;;) {
    try {
      await session.exists(CONTROLLER_PATH)
      return 'sound'
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      if (error.code === 'SESSION_EXPIRED') return 'expired'
    }
    await new Promise<void>((resolve) => void timers.after(RETRY_MS, resolve))
  }
}
