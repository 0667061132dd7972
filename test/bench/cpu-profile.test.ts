import { describe, expect, test } from 'vitest'
import { asBundledModule, selfTimes } from '../../bench/profile/cpu-profile.ts'

const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber })

describe('self times of a CPU profile', () => {
  test('samples are added up by function, whatever called it, idle time left out, the most expensive first', () => {
    const times = selfTimes({
      nodes: [
        { id: 1, callFrame: frame('(idle)') },
        { id: 2, callFrame: frame('append', 'file:///a/dist/odradek.js', 41) },
        { id: 3, callFrame: frame('append', 'file:///a/dist/odradek.js', 41) },
        { id: 4, callFrame: frame('', 'node:net', 6) },
      ],
      samples: [1, 2, 3, 4],
      timeDeltas: [5000, 1000, 2000, 1000],
    })
    expect(times).toEqual([
      { what: 'append (dist/odradek.js:42)', ms: 3, share: 0.75 },
      { what: '(anonymous) (node:net:7)', ms: 1, share: 0.25 },
    ])
  })

  test('a line of a bundle belongs to the module whose path stands above it', () => {
    const locate = asBundledModule('file:///b.mjs', '// src/a.ts\nfoo()\n  // src/log/b.ts\n\nbar()')
    expect([0, 1, 2, 4].map((line) => locate('file:///b.mjs', line))).toEqual([
      'src/a.ts',
      'src/a.ts',
      'src/log/b.ts',
      'src/log/b.ts',
    ])
    expect(locate('node:net', 4)).toBe('node:net:5')
  })

  test('a profile of nothing but waiting has no function', () => {
    const nodes = [{ id: 1, callFrame: frame('(idle)') }]
    expect(selfTimes({ nodes, samples: [1], timeDeltas: [1] })).toEqual([])
  })
})
