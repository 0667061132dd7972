/** Plain statistics over small lists of measurements. An empty list has none: every function asserts on it. */

export interface Summary {
  readonly n: number
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The value below which `fraction` (0 to 1) of the sorted values lie, interpolated between neighbours. */
export function quantile(values: readonly number[], fraction: number): number {
  if (values.length === 0) throw new Error('no measurement to take a quantile of')
  if (!(fraction >= 0 && fraction <= 1)) throw new Error(`a fraction lies between 0 and 1, not ${fraction}`)
  if (!values.every(Number.isFinite)) throw new Error(`not all are finite numbers: ${values.join(' ')}`)
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * fraction
  const below = Math.floor(position)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function summarise(values: readonly number[]): Summary {
  return { n: values.length, median: median(values), min: quantile(values, 0), max: quantile(values, 1) }
}

/**
 * Ours to theirs, round by round, then summarised. What one round has in common (a busy neighbour, a warm cache)
 * cancels in its ratio; it would not in a ratio of two medians.
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Summary {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} rounds against ${theirs.length}`)
  return summarise(ours.map((value, round) => value / theirs[round]))
}

export interface Bar {
  readonly direction: 'at least' | 'at most'
  readonly value: number
}

export function meets(bar: Bar, value: number): boolean {
  return bar.direction === 'at least' ? value >= bar.value : value <= bar.value
}
