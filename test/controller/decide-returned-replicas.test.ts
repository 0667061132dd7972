import { describe, expect, test } from 'vitest'
import { decideWithoutReturned } from '../../src/controller/decide/returned-replicas.ts'

const STATE = { leader: 1, leaderEpoch: 4, isr: [1, 2, 3], recovering: false, controllerEpoch: 1 }

function decide(state: typeof STATE, { online = [1, 2, 3], returned = [] as number[] } = {}) {
  const replicas = {
    assigned: [1, 2, 3],
    isOnline: (id: number) => online.includes(id),
    hasReturned: (id: number) => returned.includes(id),
  }
  return decideWithoutReturned(state, replicas, 2)
}

describe('A replica whose broker has come back between two controllers', () => {
  test('does not go on leading where another member of the in-sync set was there all the time', () => {
    const next = decide(STATE, { returned: [1] })
    expect(next).toMatchObject({ leader: 2, leaderEpoch: 5, isr: [2, 3], controllerEpoch: 2 })
  })

  test('leaves the in-sync set as a follower, too', () => {
    const next = decide(STATE, { returned: [3] })
    expect(next).toMatchObject({ leader: 1, leaderEpoch: 5, isr: [1, 2], controllerEpoch: 2 })
  })

  test('leaves with those that are gone', () => {
    const next = decide(STATE, { returned: [1], online: [1, 3] })
    expect(next).toMatchObject({ leader: 3, leaderEpoch: 5, isr: [3] })
  })

  test('stays where nobody else is there: nobody has more', () => {
    expect(decide(STATE, { returned: [1, 2, 3] })).toBe(null)
    expect(decide(STATE, { returned: [1], online: [1] })).toBe(null)
    expect(decide({ ...STATE, isr: [1] }, { returned: [1] })).toBe(null)
  })

  test('does not matter outside the in-sync set, nor where none has', () => {
    expect(decide({ ...STATE, isr: [1, 2] }, { returned: [3] })).toBe(null)
    expect(decide(STATE)).toBe(null)
  })
})
