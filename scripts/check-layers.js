#!/usr/bin/env node
// Checks the house rules that a linter does not know (ARCHITECTURE.md): imports point down, the world arrives as Env,
// one API - one number - one row, files fit on a screen. Prints one line for each breach; exit code 1 if there is one.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `broker` and all below it. */
const CORE = [
  'base',
  'env',
  'protocol',
  'log',
  'replication',
  'coordinator',
  'controller',
  'coordination',
  'server',
  'broker',
]

/** What the files of a room may import: rooms (with all below them), or single files. The longest matching room counts. */
const ROOMS = {
  base: [],
  protocol: ['base', 'protocol'],
  env: ['base', 'env'],
  'env/node': ['base', 'env', 'env/node'],
  'env/sim': ['base', 'env', 'env/sim'],
  log: ['base', 'env', 'protocol', 'log'],
  replication: ['base', 'env', 'protocol', 'log', 'replication'],
  coordinator: ['base', 'env', 'protocol', 'coordinator'],
  controller: ['base', 'env', 'protocol', 'controller'],
  coordination: ['base', 'env', 'protocol/crc*.ts', 'coordination'],
  server: ['base', 'env', 'protocol', 'server'],
  broker: CORE,
  command: [...CORE, 'env/node', 'command'],
  'main.ts': ['command'],
  'index.ts': [...CORE, 'env/node'],
}

/** Synchronous and pure: they take no Env, not even its clock. */
const PURE = ['controller/decide/', 'coordinator/groups/decide', 'coordinator/transactions/decide']

// The simulated scheduler waits for promises between two callbacks: only the real loop knows when they are done.
const WORLD_ALLOWED = ['env/node/', 'env/sim/scheduler.ts', 'command/', 'main.ts']
const WORLD = [
  [/\bDate\b(?!\w)/, 'Date: take Env.clock'],
  [/\bMath\.random\b/, 'Math.random: take Env.random'],
  [/\b(?:setTimeout|setInterval|setImmediate|clearTimeout|clearInterval)\b/, 'a timer: take Env.timers'],
  [/(?<![\w.'"])process\./, 'process: take Env or the configuration'],
  [/\bperformance\.now\b/, 'performance.now: take Env.clock'],
]
const WORLD_MODULES =
  /^(?:node:)?(?:fs|fs\/promises|net|tls|os|child_process|cluster|dgram|http|https|timers|timers\/promises|worker_threads|perf_hooks)$/
/** What the core may take from Node itself. */
const CORE_MODULES = /^node:(?:buffer|zlib|crypto|util|assert|module)$/

/** About 500; beyond this it is not "about" any more. */
const FILE_LINES = 550
const HANDLER = /^(\d\d)-([a-z0-9-]+)\.ts$/

/** All breaches in a tree that looks like this project's, as lines. */
export function checkLayers(root) {
  const source = join(root, 'src')
  const breaches = []
  for (const file of filesUnder(source).filter((name) => name.endsWith('.ts'))) {
    const path = relative(source, file).split(sep).join('/')
    const text = readFileSync(file, 'utf8')
    breaches.push(
      ...checkImports(source, file, path, text),
      ...checkWorld(path, text),
      ...checkLength(path, text),
    )
  }
  return [...breaches, ...checkApis(root)]
}

function checkImports(source, file, path, text) {
  const room = roomOf(path)
  if (room === undefined) return [`src/${path}: belongs to no room of ARCHITECTURE.md`]
  const breaches = []
  for (const { specifier, typeOnly, line } of importsOf(text)) {
    const where = `src/${path}:${line}`
    if (!specifier.startsWith('.')) {
      if (WORLD_ALLOWED.some((prefix) => path.startsWith(prefix))) continue
      if (WORLD_MODULES.test(specifier)) breaches.push(`${where}: ${specifier} belongs behind Env`)
      else if (specifier.startsWith('node:') && !CORE_MODULES.test(specifier)) {
        breaches.push(`${where}: ${specifier} is not on the list of modules that the core may use`)
      }
      continue
    }
    if (!/\.(ts|js|json)$/.test(specifier)) breaches.push(`${where}: ${specifier} needs its extension`)
    const target = relative(source, resolve(dirname(file), specifier))
      .split(sep)
      .join('/')
    if (!mayImport(room, target)) breaches.push(`${where}: ${room} must not import ${target}`)
    else if (roomOf(target) === 'env' && !typeOnly && !isErrorModule(target)) {
      breaches.push(`${where}: import types only from ${target}`)
    }
  }
  if (PURE.some((prefix) => path.startsWith(prefix)) && /\bfrom '[^']*\/env\/env\.ts'/.test(text)) {
    breaches.push(`src/${path}: decides, so it takes values, not Env`)
  }
  return breaches
}

/** These two hold, besides types, the error classes of their world. */
function isErrorModule(target) {
  return target === 'env/coordination.ts' || target === 'env/disk.ts' || target === 'env/network.ts'
}

function mayImport(room, target) {
  const targetRoom = roomOf(target)
  return ROOMS[room].some((allowed) => {
    if (allowed.endsWith('.ts')) return pattern(allowed).test(target)
    return allowed === targetRoom
  })
}

function pattern(glob) {
  return new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`)
}

function roomOf(path) {
  return Object.keys(ROOMS)
    .filter((room) => path === room || path.startsWith(`${room}/`))
    .sort((one, other) => other.length - one.length)[0]
}

function importsOf(text) {
  const found = []
  const statement = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm
  for (const match of text.matchAll(statement)) {
    const line = text.slice(0, match.index).split('\n').length
    found.push({ specifier: match[2] ?? match[3], typeOnly: Boolean(match[1]), line })
  }
  return found
}

function checkWorld(path, text) {
  if (WORLD_ALLOWED.some((prefix) => path.startsWith(prefix))) return []
  return withoutCommentsAndStrings(text)
    .split('\n')
    .flatMap((line, index) =>
      WORLD.filter(([found]) => found.test(line)).map(([, advice]) => `src/${path}:${index + 1}: ${advice}`),
    )
}

/** Blanks them out, so that lines keep their numbers; the code inside templates stays. */
function withoutCommentsAndStrings(text) {
  const blank = (part) => part.replace(/[^\n]/g, ' ')
  const quiet = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g
  return text.replace(quiet, (part) => {
    if (!part.startsWith('`')) return blank(part)
    return part.replace(/\$\{([^}]*)\}|[^\n]/g, (piece, code) => (code === undefined ? ' ' : `  ${code} `))
  })
}

function checkLength(path, text) {
  const lines = text.split('\n').length - 1
  return lines > FILE_LINES ? [`src/${path}: ${lines} lines; a file has about 500 at most`] : []
}

/** The same NN-name for message and handler, a row in the api-table, golden bytes. */
function checkApis(root) {
  const messages = apiFiles(join(root, 'src/protocol/messages'))
  const handlers = apiFiles(join(root, 'src/broker/handlers'))
  const breaches = []
  for (const name of handlers) {
    if (!messages.includes(name)) breaches.push(`src/broker/handlers/${name}: no message of that name`)
  }
  for (const name of messages) {
    if (!handlers.includes(name)) breaches.push(`src/protocol/messages/${name}: no handler of that name`)
  }
  const table = join(root, 'src/broker/api-table.ts')
  if (existsSync(table)) {
    const text = readFileSync(table, 'utf8')
    for (const name of handlers) {
      if (!text.includes(`/${name}'`)) breaches.push(`src/broker/api-table.ts: no row for ${name}`)
    }
  }
  const golden = join(root, 'test/golden/data')
  if (existsSync(golden)) {
    const present = readdirSync(golden)
    for (const name of messages) {
      const prefix = name.slice(0, 3)
      if (!present.some((file) => file.startsWith(prefix)))
        breaches.push(`test/golden/data: no bytes for ${name}`)
    }
  }
  return breaches
}

function apiFiles(directory) {
  return existsSync(directory) ? readdirSync(directory).filter((name) => HANDLER.test(name)) : []
}

function filesUnder(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? filesUnder(path) : [path]
  })
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const breaches = checkLayers(process.argv[2] ?? root)
  for (const breach of breaches) console.error(breach)
  if (breaches.length > 0) process.exitCode = 1
}
