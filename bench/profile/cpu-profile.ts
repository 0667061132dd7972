/** V8's .cpuprofile, as far as self time needs it. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  /** The node on top of the stack at each sample. */
  readonly samples: readonly number[]
  /** Microseconds between a sample and the one before. */
  readonly timeDeltas: readonly number[]
}

export interface SelfTime {
  readonly what: string
  readonly ms: number
  /** Of the time that was not idle: 0 to 1. */
  readonly share: number
}

/** Where a line (from 0) of a file was written. */
export type Locate = (url: string, line: number) => string

export const asFileAndLine: Locate = (url, line) => `${url.split('/').slice(-2).join('/')}:${line + 1}`

/** Lines of an esbuild bundle that is not minified: each module stands under a comment with its path. */
export function asBundledModule(bundleUrl: string, bundle: string): Locate {
  let module = ''
  const modules = bundle.split('\n').map((text) => {
    module = /^ *\/\/ (\S+\.ts)$/.exec(text)?.[1] ?? module
    return module
  })
  return (url, line) => (url === bundleUrl ? modules[line] : asFileAndLine(url, line))
}

/** Self time by function, the most expensive first; idle time is left out. */
export function selfTimes(profile: CpuProfile, locate: Locate = asFileAndLine): SelfTime[] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` (${locate(url, lineNumber)})`
      return [id, (functionName || '(anonymous)') + place]
    }),
  )
  const byName = new Map<string, number>()
  for (const [i, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '(unknown)'
    byName.set(name, (byName.get(name) ?? 0) + profile.timeDeltas[i] / 1000)
  }
  byName.delete('(idle)')
  const total = [...byName.values()].reduce((sum, ms) => sum + ms, 0)
  return [...byName]
    .map(([what, ms]) => ({ what, ms, share: total === 0 ? 0 : ms / total }))
    .toSorted((a, b) => b.ms - a.ms)
}
