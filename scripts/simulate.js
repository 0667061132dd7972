// Runs the cluster simulator on many seeds: `node scripts/simulate.js FROM COUNT [verbose]`. Prints the seeds that fail, and
// why; with `verbose` (one seed) what the brokers log. The exit code is 1 if any failed.
import { build } from 'esbuild'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
const bundle = join(repository, '.cache', 'simulator.mjs')

async function main([from = '1', count = '100', mode = '']) {
  mkdirSync(dirname(bundle), { recursive: true })
  await build({
    entryPoints: [join(repository, 'test/sim/run.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'error',
  })
  const { run } = await import(pathToFileURL(bundle).href)
  const verbose = mode === 'verbose'
  const used = process.cpuUsage()
  let failed = 0
  for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
    const result = await run({ seed, verbose })
    if (mode !== "") console.log({ ...result, lines: undefined })
    if (result.failures.length === 0) continue
    failed++
    console.log(`seed ${seed} fails: ${result.failures.slice(0, 3).join('\n  ')}`)
  }
  const { user, system } = process.cpuUsage(used)
  const seconds = (user + system) / 1e6
  console.log(
    `${count} seeds, ${failed} failed; ${seconds.toFixed(1)} s of processor time, ${((1000 * seconds) / Number(count)).toFixed(0)} ms each`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

await main(process.argv.slice(2))
