import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createNodeDisk } from '../../src/env/node/disk.ts'

const directory = mkdtempSync(join(tmpdir(), 'node-disk-'))
afterEach(() => rmSync(directory, { recursive: true, force: true }))
const disk = createNodeDisk()

test('a directory is made with its parents, and made again without harm', () => {
  const path = join(directory, 'a', 'b', 'c')
  disk.makeDirectory(path)
  disk.makeDirectory(path)
  expect(disk.stat(path)?.isDirectory).toBe(true)
})

test.runIf(process.platform === 'linux')(
  'where nothing can be made the answer is an error, not an endless try',
  () => {
    expect(() => disk.makeDirectory('/proc/odradek/data')).toThrow(/proc/)
  },
)

test('a file in the way is an error', () => {
  disk.makeDirectory(directory)
  writeFileSync(join(directory, 'file'), '')
  expect(() => disk.makeDirectory(join(directory, 'file'))).toThrow()
  expect(() => disk.makeDirectory(join(directory, 'file', 'below'))).toThrow()
})
