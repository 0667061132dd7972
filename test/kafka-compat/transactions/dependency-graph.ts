/**
 * Cycles of transactions that depend on each other, after Adya: ww, a transaction's record lies directly behind another's in
 * a partition; wr, a transaction has read another's record; and session, one producer's transactions in their order. Pure.
 */
export type EdgeKind = 'ww' | 'wr' | 'session'

export class DependencyGraph {
  /** By transaction, those that depend on it. */
  readonly #edges = new Map<string, Map<string, Set<EdgeKind>>>()

  add(kind: EdgeKind, from: string, to: string): void {
    if (from === to) return
    let after = this.#edges.get(from)
    if (after === undefined) this.#edges.set(from, (after = new Map()))
    const kinds = after.get(to)
    if (kinds === undefined) after.set(to, new Set([kind]))
    else kinds.add(kind)
  }

  /** Sets of transactions of which each depends on each other, by edges of these kinds alone. */
  cycles(kinds: readonly EdgeKind[]): string[][] {
    const isMeant = (edge: Set<EdgeKind>): boolean => kinds.some((kind) => edge.has(kind))
    const next = (from: string): string[] =>
      [...(this.#edges.get(from) ?? [])].filter(([, edge]) => isMeant(edge)).map(([to]) => to)
    return components(this.#edges.keys(), next).filter(({ length }) => length > 1)
  }
}

interface Visit {
  node: string
  next: string[]
}

/** Strongly connected components, by Tarjan, without recursion: chains are as long as a history. */
function components(nodes: Iterable<string>, next: (node: string) => string[]): string[][] {
  const number = new Map<string, number>()
  const low = new Map<string, number>()
  const open: string[] = []
  const isOpen = new Set<string>()
  const found: string[][] = []
  const enter = (node: string): Visit => {
    number.set(node, number.size)
    low.set(node, number.get(node)!)
    open.push(node)
    isOpen.add(node)
    return { node, next: next(node) }
  }
  const lower = (node: string, to: number): void => void low.set(node, Math.min(low.get(node)!, to))
  for (const root of nodes) {
    if (number.has(root)) continue
    const path = [enter(root)]
    while (path.length > 0) {
      const { node, next: left } = path.at(-1)!
      const to = left.pop()
      if (to !== undefined) {
        if (!number.has(to)) path.push(enter(to))
        else if (isOpen.has(to)) lower(node, number.get(to)!)
        continue
      }
      path.pop()
      if (path.length > 0) lower(path.at(-1)!.node, low.get(node)!)
      if (low.get(node) !== number.get(node)) continue
      const component = open.splice(open.lastIndexOf(node))
      for (const each of component) isOpen.delete(each)
      found.push(component)
    }
  }
  return found
}
