#!/usr/bin/env node
// The `odradek` command: loads command.js with the compiled code that the build kept beside it, which saves about a third of
// the start (docs/decisions/0006). V8 refuses code of another version of itself: then, as without it, the source is compiled.
'use strict'
const { readFileSync } = require('node:fs')
const Module = require('node:module')
const { join } = require('node:path')
const vm = require('node:vm')

const filename = join(__dirname, 'command.js')
// A program of its own, which the broker's start does not pay for.
const isDumpLog = process.argv[2] === 'dump-log'
const script = isDumpLog ? null : load()
if (isDumpLog) {
  require('./dump-log.js')
} else if (script) {
  script.runInThisContext()(exports, Module.createRequire(filename), module, filename, __dirname)
} else {
  // Node 22 and later keep compiled code by themselves.
  Module.enableCompileCache?.()
  require('./command.js')
}

function load() {
  let cachedData
  try {
    cachedData = readFileSync(`${filename}.cache`)
  } catch {
    return null
  }
  const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  const source = Module.wrap(readFileSync(filename, 'latin1'))
  const compiled = new vm.Script(source, { filename, cachedData, importModuleDynamically })
  return compiled.cachedDataRejected ? null : compiled
}
