// Starts and stops the command once and keeps the code that V8 compiled on the way, for launcher.cjs. Arguments: command.js
'use strict'
const { readFileSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const { dirname } = require('node:path')
const vm = require('node:vm')

const filename = process.argv[2]
const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
const source = Module.wrap(readFileSync(filename, 'latin1'))
const script = new vm.Script(source, { filename, importModuleDynamically })

process.argv = [process.execPath, filename, '--ephemeral', '--port', '0', '--topic', 'warm-up']
process.on('exit', (code) => {
  if (code === 0) writeFileSync(`${filename}.cache`, script.createCachedData())
})
// The one line on standard output says that the broker is ready.
process.stdout.write = () => {
  process.kill(process.pid, 'SIGTERM')
  return true
}
script.runInThisContext()(exports, Module.createRequire(filename), module, filename, dirname(filename))
