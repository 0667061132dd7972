// node bench/run.js QUESTION [option...]: bundles bench/QUESTION/bench.ts (and the floor) to .cache/bench and runs it.
// `all` runs the recorded questions one after the other. TypeScript is not executable on Node 20; esbuild, which builds
// the command as well, makes it so in a few milliseconds.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from '../scripts/bundle.js'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)
/** Their answers stand in bench/results, and in the README in this order. */
const RECORDED = JSON.parse(readFileSync(join(here, 'recorded.json'), 'utf8'))
const [question, ...options] = process.argv.slice(2)
const questions = question === 'all' ? RECORDED : [question ?? '']
const entry = (name) => join(here, name, 'bench.ts')
if (questions.some((name) => !existsSync(entry(name)))) {
  console.error(`node bench/run.js ${RECORDED.join(' | ')} | profile | all [option...]`)
  process.exit(2)
}
const outdir = join(root, '.cache', 'bench')
await bundle({
  entryPoints: {
    ...Object.fromEntries(questions.map((name) => [name, entry(name)])),
    'floor-broker': join(here, 'floor', 'floor-broker.ts'),
    'log-sink': join(here, 'log', 'sink.ts'),
    'group-load': join(here, 'groups', 'load.ts'),
    'log-segments': join(here, 'log', 'segments-process.ts'),
    // The command again, with white space: a profile's line numbers then tell functions apart.
    ...(question === 'profile' ? { 'profiled-odradek': join(root, 'src', 'main.ts') } : {}),
  },
  outdir,
  outExtension: { '.js': '.mjs' },
})
for (const name of questions) {
  const program = join(outdir, `${name}.mjs`)
  const { status } = spawnSync(process.execPath, [program, ...options], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
