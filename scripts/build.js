#!/usr/bin/env node
// Builds dist/: the command as one file (many small files start three times slower), the library as one file with its types.
// Runs in `npm install` (prepare). npm packages stay outside the bundles.
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const require = createRequire(import.meta.url)

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  // Names stay readable in stack traces; only syntax and white space shrink.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
}

/** CommonJS: Node starts it 10 to 30 ms sooner than a module, and its compiled code can be kept. */
const command = {
  ...shared,
  entryPoints: ['src/main.ts'],
  outfile: 'dist/command.js',
  format: 'cjs',
  // Node 20 cannot import() from code that V8 kept: require() instead.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: 'const __moduleUrl=require("node:url").pathToFileURL(__filename).href;' },
}

/** The sub-command that no broker needs: the launcher takes it in place of the command. */
const dumpLog = { ...command, entryPoints: ['src/command/dump-log/main.ts'], outfile: 'dist/dump-log.js' }

const library = { ...shared, entryPoints: ['src/index.ts'], outfile: 'dist/lib/index.js', format: 'esm' }

function runNode(...args) {
  const env = { ...process.env }
  for (const name of Object.keys(env)) if (name.startsWith('KAFKA_')) delete env[name]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
    child.on('error', reject)
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${args.join(' ')} ended with ${code}`)),
    )
  })
}

async function buildCommand() {
  rmSync(join(dist, 'command.js.cache'), { force: true })
  await Promise.all([build(command), build(dumpLog)])
  copyFileSync(join(root, 'scripts', 'launcher.cjs'), join(dist, 'odradek.js'))
  chmodSync(join(dist, 'odradek.js'), 0o755)
  writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n')
  // Without it the command works as well, and starts a little later.
  await runNode('scripts/write-code-cache.cjs', join(dist, 'command.js')).catch((error) =>
    console.error(`build: no compiled code is kept: ${error.message}`),
  )
}

async function buildLibrary() {
  await build(library)
  writeFileSync(join(dist, 'lib', 'package.json'), '{ "type": "module" }\n')
}

function emitTypes() {
  return runNode(
    join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  )
}

mkdirSync(join(dist, 'lib'), { recursive: true })
try {
  await Promise.all([buildCommand(), buildLibrary(), emitTypes()])
} catch (error) {
  console.error(`build: ${error.message}`)
  process.exitCode = 1
}
