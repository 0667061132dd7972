// Runs the cluster simulator (test/sim) on many seeds and prints those that fail, and why; exit code 1 if any did.
//
//   node scripts/simulate.js FROM COUNT      the seeds FROM, FROM + 1, ...
//   --verbose       what the brokers log, and what came of each seed
//   --replay        each seed twice: both runs must be the same, event by event
//   --fault NAME    only faults of this kind
//   --load NAME     what clients do: plain (if not said), transactions, groups
//   --plant NAME    with a bug of test/sim/planted-bugs.js; ends at the first seed that finds it, and fails if none does
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle } from './bundle.js'
import { foundWith, plantedBugs } from '../test/sim/planted-bugs.js'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      verbose: { type: 'boolean', default: false },
      replay: { type: 'boolean', default: false },
      fault: { type: 'string' },
      plant: { type: 'string' },
      load: { type: 'string' },
    },
  })
  const from = Number(positionals[0] ?? 1)
  const count = Number(positionals[1] ?? 100)
  const { run } = await simulator(values.plant)
  const { verbose } = values
  const load = values.load ?? foundWith[values.plant] ?? 'plain'
  const used = process.cpuUsage()
  const rejections = []
  process.on('unhandledRejection', (error) => rejections.push(`nobody looked at: ${error?.stack ?? error}`))
  const failed = []
  let seeds = 0
  let voids = 0
  for (let seed = from; seed < from + count; seed++) {
    seeds++
    const options = { seed, load, onlyFault: values.fault }
    const result = await run({ ...options, verbose })
    if (verbose) console.log({ ...result, lines: undefined })
    if (result.isVoid) voids++
    const failures = [...result.failures, ...rejections.splice(0)]
    if (values.replay && (await run(options)).traceHash !== result.traceHash)
      failures.push('the same seed gave another run')
    if (failures.length === 0) continue
    failed.push(seed)
    console.log(`seed ${seed} fails: ${failures.slice(0, 3).join('\n  ')}`)
    if (values.plant !== undefined) break
  }
  const { user, system } = process.cpuUsage(used)
  const seconds = (user + system) / 1e6
  const each = ((1000 * seconds) / seeds).toFixed(0)
  console.log(
    `${seeds} seeds, ${failed.length} failed, ${voids} void; ${seconds.toFixed(1)} s of processor time, ${each} ms each`,
  )
  process.exitCode = failed.length > 0 === (values.plant !== undefined) ? 0 : 1
}

/** Bundled: a run takes half the time that it takes module by module. */
async function simulator(bug) {
  const outfile = join(repository, '.cache', `simulator-${process.pid}.mjs`)
  mkdirSync(dirname(outfile), { recursive: true })
  await bundle({
    entryPoints: [join(repository, 'test/sim/run.ts')],
    outfile,
    sourcemap: 'inline',
    logLevel: 'error',
    plugins: bug === undefined ? [] : [planting(bug)],
  })
  try {
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(outfile)
  }
}

function planting(name) {
  const bug = plantedBugs[name]
  if (bug === undefined) throw new Error(`no such bug: ${name}`)
  return {
    name: 'planting',
    setup(setup) {
      setup.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const edits = bug[relative(repository, path)]
        if (edits === undefined) return undefined
        let contents = readFileSync(path, 'utf8')
        for (const [text, replacement] of edits) {
          if (contents.split(text).length !== 2) throw new Error(`${path} does not have this once: ${text}`)
          contents = contents.replace(text, () => replacement)
        }
        return { contents, loader: 'ts' }
      })
    },
  }
}

await main()
