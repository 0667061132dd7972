import { describe, expect, test } from 'vitest'
import { DependencyGraph } from './dependency-graph.ts'

describe('the dependency graph', () => {
  test('a chain has no cycle, however long', () => {
    const graph = new DependencyGraph()
    for (let i = 0; i < 100_000; i++) graph.add('ww', `t${i}`, `t${i + 1}`)
    expect(graph.cycles(['ww'])).toEqual([])
  })

  test('its end tied to its beginning, it is one cycle', () => {
    const graph = new DependencyGraph()
    for (let i = 0; i < 100_000; i++) graph.add('ww', `t${i}`, `t${i + 1}`)
    graph.add('ww', 't100000', 't0')
    const cycles = graph.cycles(['ww'])
    expect(cycles.map(({ length }) => length)).toEqual([100_001])
  })

  test('two cycles of which one leads to the other are two', () => {
    const graph = new DependencyGraph()
    for (const edge of ['ab', 'ba', 'bc', 'cd', 'de', 'ec']) graph.add('wr', edge[0], edge[1])
    const cycles = graph.cycles(['wr']).map((names) => names.toSorted().join(''))
    expect(cycles.toSorted()).toEqual(['ab', 'cde'])
  })

  test('a cycle counts by the kinds of its edges', () => {
    const graph = new DependencyGraph()
    graph.add('ww', 'a', 'b')
    graph.add('wr', 'b', 'a')
    expect(graph.cycles(['ww'])).toEqual([])
    expect(graph.cycles(['wr', 'session'])).toEqual([])
    expect(graph.cycles(['ww', 'wr'])).toHaveLength(1)
  })

  test('a transaction that depends on itself is none', () => {
    const graph = new DependencyGraph()
    graph.add('wr', 'a', 'a')
    expect(graph.cycles(['wr'])).toEqual([])
  })

  test('the same as by brute force, on small random graphs', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const edges = randomEdges(seed)
      const graph = new DependencyGraph()
      for (const [from, to] of edges) graph.add('ww', from, to)
      const inCycles = graph.cycles(['ww']).flat().toSorted()
      expect(inCycles, `seed ${seed}`).toEqual(byReach(edges))
    }
  })
})

function randomEdges(seed: number): [string, string][] {
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % limit
  }
  return Array.from({ length: 4 + below(12) }, () => [`n${below(8)}`, `n${below(8)}`])
}

/** Those that reach another which reaches them. */
function byReach(edges: [string, string][]): string[] {
  const names = [...new Set(edges.flat())]
  const reached = (from: string): Set<string> => {
    const seen = new Set<string>()
    const waiting = [from]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      for (const [, to] of edges.filter(([start]) => start === at)) {
        if (!seen.has(to)) waiting.push(to)
        seen.add(to)
      }
    }
    return seen
  }
  const reach = new Map(names.map((name) => [name, reached(name)]))
  const isIn = (name: string): boolean =>
    names.some((other) => other !== name && reach.get(name)!.has(other) && reach.get(other)!.has(name))
  return names.filter(isIn).toSorted()
}
