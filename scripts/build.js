#!/usr/bin/env node
// Builds dist/: the command as one file (many small files start three times slower), the library as one file with its types.
// Runs in `npm install` (prepare). npm packages stay outside the bundles.
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

const shared = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  // Names stay readable in stack traces; only syntax and white space shrink, which is what parsing costs.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
}

// Node 22 and later keep the compiled code of what is imported after this call.
const launcher = `#!/usr/bin/env node
import module from 'node:module'
module.enableCompileCache?.()
await import('./command.js')
`

function emitTypes() {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`tsc ended with ${code}`))))
  })
}

mkdirSync(join(root, 'dist'), { recursive: true })
try {
  const command = join(root, 'dist', 'odradek.js')
  writeFileSync(command, launcher)
  chmodSync(command, 0o755)
  await Promise.all([
    build({ ...shared, entryPoints: ['src/main.ts'], outfile: 'dist/command.js' }),
    build({ ...shared, entryPoints: ['src/index.ts'], outfile: 'dist/lib/index.js' }),
    emitTypes(),
  ])
} catch (error) {
  console.error(`build: ${error.message}`)
  process.exitCode = 1
}
