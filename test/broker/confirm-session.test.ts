import { expect, test } from 'vitest'
import { confirmSession } from '../../src/broker/confirm-session.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

/** Asks of a session whose `multi` gives these outcomes, one after the other. */
function confirm(session: { id: bigint }, outcomes: (() => void)[]): Promise<string> {
  const multi = async (): Promise<[]> => (outcomes.shift()!(), [])
  const scheduler = new SimScheduler()
  const answer = confirmSession(Object.assign(session, { multi }), scheduler.timers)
  return scheduler.until(answer)
}

const fails = (code: 'CONNECTION_LOSS' | 'SESSION_EXPIRED') => (): void => {
  throw new CoordinationError(code, '/')
}

test('a session that answers is sound, however often it has to be asked', async () => {
  const outcomes = [fails('CONNECTION_LOSS'), fails('CONNECTION_LOSS'), (): void => undefined]
  expect(await confirm({ id: 1n }, outcomes)).toBe('sound')
  expect(outcomes).toEqual([])
})

test('a session that is over is expired', async () => {
  expect(await confirm({ id: 1n }, [fails('CONNECTION_LOSS'), fails('SESSION_EXPIRED')])).toBe('expired')
})

test('the late end of a session that another has replaced says nothing of the other', async () => {
  const session = { id: 1n }
  const replaced = (): void => {
    session.id = 2n
    fails('SESSION_EXPIRED')()
  }
  const outcomes = [replaced, (): void => undefined]
  expect(await confirm(session, outcomes)).toBe('sound')
  expect(outcomes).toEqual([])
})
